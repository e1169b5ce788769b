"""The classic tools, one file a command: their options, their exit codes, their words.

What they show is laid out in `cli.view`; what they do is done by the daemons or `crm.cib`.
"""
