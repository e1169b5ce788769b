"""The lab: a whole cluster on one computer, each node in namespaces of its own.

Here live the plan of a lab, the process that keeps it (`keeper`), the first process of each node
(`host`), the wiring between them, the observer that watches an address as a client would, and
the `crm lab` commands. Nothing in here is needed by a real cluster.
"""
