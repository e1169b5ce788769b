"""The executor: runs agents for the controller of its node, and reports how they end.

Here live the core (`operations`), the runner process that starts and kills agents (`spawn`,
`runner`), the standards agents follow (`classes`), the kit our own agents are written with
(`agentkit`) and those agents (`agents`). Decisions about *what* should run do not live here.
"""
