"""What cgroups use, for people who watch: one file per noun, for cgroup v1 and v2.

Nothing here raises. A cgroup or a file may vanish at any moment, and not every kernel has every file: then that figure is None.
"""
