"""The writer of cgroup files: spelling of values, order of writes in a hierarchy, and whether a value is in effect.

Belongs here: paths, spelling per cgroup version, nesting, the OCI runtime's inner cgroup, the watch for other writers.
Does not belong here: which values are wanted (reconcile), facts about the node (the rest of host).
"""
