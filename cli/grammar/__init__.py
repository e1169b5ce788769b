"""The language of `crm configure`: parse and render of each statement, side by side.

Values in, values out: no XML, no files, no printing, no knowledge of a running cluster.
"""
