"""What any cluster layer has to keep: docs/protocol/cluster-layer.md, promise by promise.

Everything here looks at the client's end of the conversation only. A stack takes part by being
named in `stage.STACKS`; nothing else here knows what it is.
"""
