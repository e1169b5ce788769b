"""What an OCF agent of ours is made of: declarations, parameters, metadata, outcomes, detaching.

An agent built with it runs in the warm runner and, unchanged, from a shell. Nothing in here knows
lrmd, the bus or the cluster: an agent sees its environment only.
"""
