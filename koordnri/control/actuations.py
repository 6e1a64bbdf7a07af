"""What changed between two wishes of a controller, for the log and the metrics."""

from __future__ import annotations

import math
from collections import Counter
from typing import Literal

from koordnri.model.control import Control

Direction = Literal["up", "down", "moved"]
"""more, or less, than before; other CPUs, but as many"""
_NOTHING = {"be_cpus": math.inf, "be_quota_us": math.inf, "quotas_us": 0.0, "memory_high_bytes": math.inf}
"""what no wish stands for: best-effort work has everything, a container no quota beyond its own"""


def actuations(before: Control, after: Control) -> Counter[Direction]:
    """Direction → number of values that moved there."""
    found: Counter[Direction] = Counter()
    had, has = _values(before), _values(after)
    for target in dict.fromkeys((*had, *has)):
        old, new = (values.get(target, (_NOTHING[target[0]], None)) for values in (had, has))
        if old[0] != new[0]:
            found["up" if new[0] > old[0] else "down"] += 1
        elif old[1] != new[1]:
            found["moved"] += 1
    return found


def summary(control: Control) -> dict[str, object]:
    """What is wanted, for a log line: the values for best-effort work, and the number of containers."""
    found: dict[str, object] = {}
    if control.be_cpus is not None:
        found["be_cpus"] = str(control.be_cpus.value)
    if control.be_quota_us is not None:
        found["be_quota_us"] = control.be_quota_us.value
    for name, values in (("quotas", control.quotas_us), ("memory_highs", control.memory_high_bytes)):
        if values:
            found[name] = len(values)
    return found


def reason(control: Control) -> str:
    """Why it is wanted: of the first wish; "" without one."""
    wishes = (control.be_cpus, control.be_quota_us, *control.quotas_us.values(), *control.memory_high_bytes.values())
    return next((wanted.reason for wanted in wishes if wanted is not None), "")


def _values(control: Control) -> dict[tuple[str, str], tuple[float, object]]:
    """(attribute, container or "") → (how much it is, what exactly)."""
    found: dict[tuple[str, str], tuple[float, object]] = {}
    if (cpus := control.be_cpus) is not None:
        found["be_cpus", ""] = float(len(cpus.value)), cpus.value
    if (quota := control.be_quota_us) is not None:
        found["be_quota_us", ""] = float(quota.value), None
    for attribute, values in (("quotas_us", control.quotas_us), ("memory_high_bytes", control.memory_high_bytes)):
        for container_id, wanted in values.items():
            found[attribute, container_id] = float(wanted.value), None
    return found
