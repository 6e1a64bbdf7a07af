"""What the containers of a pod come to that run at the same time: init containers one after the other, then all others together.

The scheduler counts so (KEP-753). Whoever gave the pod the sum of all instead would give it more than it was placed for, and as much
more as its owner adds init containers.
"""

from __future__ import annotations

from collections.abc import Mapping

from koordnri.model import Pod


def most_together(pod: Pod, amounts: Mapping[str, int]) -> int:
    """The largest sum of `amounts` (container → amount) at any time of the pod's life. Without a spec nobody knows who is an init
    container: then all are taken to run together.
    """
    if len(amounts) <= 1 or pod.spec is None:  # a single container is decided while the runtime waits
        return sum(amounts.values())
    known = pod.spec.containers
    most = beside = 0
    # In the spec's order, in which those that run on (restartPolicy: Always) stand before the init containers that run beside them.
    for name in [*known, *(n for n in amounts if n not in known)]:
        amount = amounts.get(name, 0)
        if name in known and known[name].init:
            most = max(most, beside + amount)
        else:
            beside += amount
    return max(most, beside)
