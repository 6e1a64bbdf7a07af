"""What people and Prometheus ask of the running daemon: one file per question. `koordnri.answers.questions` lists those of people.

An answer is computed from the daemon's memory, in a thread of the control socket or of the HTTP port, never on the event path.
"""
