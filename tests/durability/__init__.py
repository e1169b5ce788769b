"""Wears a real cluster down while it is written to, and counts what was promised and kept."""
