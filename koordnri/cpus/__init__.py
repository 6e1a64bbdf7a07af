"""Exclusive CPUs: which containers want them, which they get, for how long, and what the share pools are.

Belongs here: a container's wish, the choice of CPUs, holdings, share pools, kubelet's pins, claims of DRA drivers.
Does not belong here: files, sockets, the runtime's messages; what a container without exclusive CPUs gets (the cpuset hook decides).
"""
