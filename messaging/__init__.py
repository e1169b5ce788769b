"""The cluster layer: ha.cf and authkeys, sealed packets, links, streams, views, children.

Here lives what makes computers a cluster and nothing of what a cluster runs: no resources, no
CIB, no decisions about services. Clients meet it through `crm.api.membership` only.
"""
