"""ha.cf: one table of directives, a reader of lines, what the whole file means, and its telling.

Here lives everything that needs no more than the text. Whether devices, hosts and programs exist
is for `messaging.startup` to find out.
"""
