"""Where you are in the shell and how a line finds its command; the interactive prompt.

No command lives here.
"""
