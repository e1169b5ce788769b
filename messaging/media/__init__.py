"""The sockets of the cluster layer: one file per kind of medium.

Here live datagram endpoints and ICMP. What the bytes mean, who may be believed and who is alive
is none of this folder's business.
"""
