"""The crmd: who decides (election, join), when to schedule, and carrying a graph out."""
