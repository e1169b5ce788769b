"""The standards an agent can follow, one file each: how it is called and how its end is read.

All of it is pure: a class turns an order into a command line and an exit into an OCF exit code.
Finding files is the catalog's job, running them the runner's.
"""
