"""What the daemon knows now, in memory and on disk.

Belongs here: the ledger of pods and containers, the snapshot for decisions, state files, the lock against a second daemon.
Does not belong here: decisions; I/O outside the state directory.
"""
