"""Sums over the containers of a pod that run at the same time: init containers one after the other, then all others together.

The scheduler counts in the same way (KEP-753). The plain sum of all containers would give the pod more than it was scheduled for, and its
owner could raise it by adding init containers.
"""

from __future__ import annotations

from collections.abc import Mapping

from koordnri.model.pod import Pod


def most_together(pod: Pod, amounts: Mapping[str, int]) -> int:
    """The largest sum of `amounts` (container → amount) at any time of the pod's life. Without a spec init containers are not known: then
    all count as running together.
    """
    if len(amounts) <= 1 or pod.spec is None:  # a shortcut for the most frequent case, on the event path
        return sum(amounts.values())
    known = pod.spec.containers
    most = beside = 0
    # In the spec's order: sidecars (restartPolicy: Always) come before the init containers that run beside them.
    for name in [*known, *(n for n in amounts if n not in known)]:
        amount = amounts.get(name, 0)
        if name in known and known[name].init:
            most = max(most, beside + amount)
        else:
            beside += amount
    return max(most, beside)
