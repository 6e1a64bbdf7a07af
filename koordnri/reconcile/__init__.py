"""Brings running containers and pods to the present decision: trigger → plan → write → read back → ledger → sweep.

Belongs here: when to decide again, which files follow from a decision, what to do about files that do not change.
Does not belong here: what is decided (chain and hooks), how a file is written (host), what is sent to the runtime (session).
"""
