"""Turns values of `crm.model` into XML; no decisions, no files."""
