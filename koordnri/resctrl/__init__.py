"""Cache and memory bandwidth by resctrl: a container's group, a group's limits, and its threads.

Belongs here: groups, their schemata, threads and monitors, as decided and as found.
Does not belong here: how files below /sys/fs/resctrl are read and written (host), when a pass runs (reconcile).
"""
