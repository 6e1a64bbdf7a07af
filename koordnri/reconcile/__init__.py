"""Brings what runs to the present decision: triggers → plan → write → read back → ledger → sweep.

Belongs here: when to decide again, which files follow from a decision, what to do about those that would not change.
Does not belong here: what is decided (chain and hooks), how a file is written (host), what the runtime is told (session).
"""
