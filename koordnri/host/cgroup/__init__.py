"""The writer of cgroup files: how a value is spelled there, in which order files of a hierarchy take it, and whether it has effect.

Belongs here: paths, spelling per cgroup version, nesting, the OCI runtime's inner cgroup, the watch for writes of others.
Does not belong here: which values are wanted (reconcile), facts of the node (the rest of host).
"""
