"""The words of the domain: names, scores, roles, resources, constraints, graphs; no I/O."""
