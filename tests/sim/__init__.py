"""A whole cluster in one process from a seed: the real cores, everything else simulated.

`engine` is time and chance, `network` the cables, `processes` the local bus, `agents` the truth
about resources, `nodes` a computer, `faults` what goes wrong, `checks` what must hold, `plants` the
bugs that prove the checks. No code of the product lives here, and nothing here is imported by it.
"""
