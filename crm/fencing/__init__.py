"""Fencing devices, their topology, and the confirmation that a node is down."""
