"""`koordnri bench`: what the daemon costs, measured from outside on an embedded runtime and a host made of plain files.

Belongs here: the load, the daemon as a process, one module per thing that is measured.
Does not belong here: limits that a test checks; figures are compared within one run, and read by people.
"""
