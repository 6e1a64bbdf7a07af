"""Cache and memory bandwidth by resctrl: which group a container belongs to, what a group is given, who is in it.

Belongs here: groups, their schemata, tasks and monitors, as decided and as found.
Does not belong here: how files below /sys/fs/resctrl are read and written (host), when a pass runs (reconcile).
"""
