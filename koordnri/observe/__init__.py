"""What people and machines see of the daemon: logs, the table of metrics, HTTP endpoints and the control socket.

Belongs here: names and shapes of metrics, log lines and HTTP endpoints. Does not belong here: anything that decides or acts, and the
answers themselves (koordnri.answers).
"""
