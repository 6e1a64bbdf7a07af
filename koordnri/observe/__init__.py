"""What people and machines see of the daemon: metrics, logs, health.

Belongs here: names and shapes of metrics, log lines and HTTP endpoints. Does not belong here: anything that decides or acts. The rooms
below keep plain counters; this room reads them when it is asked.
"""
