"""Exclusive CPUs: who wants some, which they get, for how long, and what is left for all others.

Belongs here: the wish of a container, the choice of CPUs, who holds which, share pools, kubelet's pins, claims of DRA drivers.
Does not belong here: files, sockets, the runtime's messages; what a container without exclusive CPUs gets (the cpuset hook decides).
"""
