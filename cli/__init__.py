"""The administrator's room: the crm shell, the classic tools, and the lab.

Nothing here decides what the cluster does; it asks, shows and changes configurations.
"""
