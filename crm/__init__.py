"""The common house: what every process of the cluster stands on.

Plumbing (pipes and wires), model (the words of the domain), api (what processes say to
each other) and five daemons that do not know each other: cib, controller, attrd, fencing,
gate. Nothing in here imports pengine, lrmd, messaging or cli.
"""
