"""Wiring and life cycle: builds all parts from a configuration, starts them, and stops them in the opposite order.

Belongs here: what connects rooms that do not know each other, the sources of policy and node state, the end of the process.
Does not belong here: decisions, protocols, file formats.
"""
