"""Every decoder, given what nobody would write: no exception but the documented one escapes.

`inputs` makes bytes and messages, `targets` lists the decoders, `test_targets.py` is the short form
of every push, `python -m tests.fuzz` (`./run fuzz MINUTES=n`) the long one.
"""
