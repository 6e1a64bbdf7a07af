"""What the daemon knows at this moment, in memory and on disk.

Belongs here: the ledger of pods and containers, the snapshot that decisions are made from, state files, the lock against a second daemon.
Does not belong here: decisions, I/O other than the state directory's.
"""
