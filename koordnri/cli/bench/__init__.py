"""`koordnri bench`: what the daemon costs, measured from outside, with an embedded runtime and a host made of plain files.

Belongs here: the load, the daemon as a process, one module per measured part.
Does not belong here: limits checked by a test; people compare the figures of one run.
"""
