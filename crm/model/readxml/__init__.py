"""Turns CIB elements into the values of `crm.model`; reads only, judges no rules, raises nothing.

What cannot be read becomes a `Problem` that names the element, and is left out.
"""
