"""What people and machines see of the daemon: metrics, logs, health.

Belongs here: names and shapes of metrics, log lines, HTTP endpoints. Does not belong here: anything that decides or acts; the
rooms below keep plain counters, and this room reads them when it is asked.
"""
