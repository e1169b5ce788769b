"""mgmtd, the one door for people and tools: who is calling, what may they do, pass it on."""
