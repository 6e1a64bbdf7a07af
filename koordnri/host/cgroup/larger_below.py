"""The cgroup that keeps the one above it from having a smaller quota: on v1 the kernel refuses a quota below that of a descendant.

It says EINVAL and no more. A forgotten cgroup, such as one that a killed program has left, is found only by looking.
"""

from __future__ import annotations

import os
from fractions import Fraction

from koordnri.host.cgroup.files import CgroupFiles

_QUOTA, _PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"
MOST = 2000
"""Cgroups that are looked at. A node has two for each container."""


def larger_below(files: CgroupFiles, directory: str, wanted: Fraction | int) -> str:
    """A sentence about the first cgroup below `directory` with more than `wanted` CPUs; "" when there is none.

    directory   full path in the hierarchy of cpu
    """
    waiting = [directory]
    for _ in range(MOST):
        if not waiting:
            break
        above = waiting.pop()
        for name in files.below(above):
            path = os.path.join(above, name)
            try:
                quota_us, period_us = (int(files.read(os.path.join(path, file))) for file in (_QUOTA, _PERIOD))
            except (OSError, ValueError):
                continue  # it has just gone
            if quota_us < 0:
                waiting.append(path)  # it has its parent's, and one further below may have more
            elif Fraction(quota_us, period_us) > wanted:
                return f"{path} has {quota_us} µs per {period_us} µs; remove this cgroup if no pod runs there"
    return ""
