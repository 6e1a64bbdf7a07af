"""What could be taken from pods without harm, as far as the measurements show it.

cached   file pages that nobody has used for a while (inactive): the kernel drops them first, and whoever needs one reads it again
beyond   the working set above the memory request, of best-effort pods that neither stall on memory nor read back what was reclaimed. It
         is an upper bound: whether the pages are used, the kernel does not say. The memory staircase finds out step by step
"""

from __future__ import annotations

from typing import NamedTuple

from koordnri.control.memory_high import is_best_effort
from koordnri.control.signals import PodSignals, Signals

_STALLS_PERCENT = 1.0


class Reclaimable(NamedTuple):
    """One pod; bytes."""

    namespace: str
    name: str
    cached: int
    beyond: int


def reclaimable(signals: Signals) -> list[Reclaimable]:
    """The pods of which something could be taken, the most first."""
    found = [_of(pod) for pod in signals.pods.values()]
    return sorted((one for one in found if one.cached or one.beyond), key=lambda one: -(one.cached + one.beyond))


def _of(pod: PodSignals) -> Reclaimable:
    load = pod.load
    used = load.memory_bytes or 0
    charged = used if load.memory_charged_bytes is None else load.memory_charged_bytes
    suffers = (load.memory_pressure or 0.0) >= _STALLS_PERCENT or bool(load.refaults)
    beyond = max(used - pod.memory_request_bytes, 0) if is_best_effort(pod) and not suffers else 0
    return Reclaimable(pod.pod.namespace, pod.pod.name, max(charged - used, 0), beyond)
