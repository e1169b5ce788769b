"""Transient node attributes, with dampening."""
