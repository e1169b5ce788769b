"""Pipes and wires: clocks, machines, sockets, files, logs. No word of the domain lives here."""
