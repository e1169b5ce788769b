"""Our own OCF agents, one file each; `installed/` has the executables that run them from a shell.

Code that two agents share lives in `lrmd.agentkit` or `lrmd.rtnetlink`, not here.
"""
