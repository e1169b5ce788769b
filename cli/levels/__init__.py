"""The levels of the shell, one file a level: its commands and what they change.

No parsing of statements (`cli.grammar`), no layout of what is shown (`cli.view`).
"""
