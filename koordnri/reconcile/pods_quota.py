"""kubelet's quota of a pod's own cgroup, computed from the pod's `spec.resources`, or else from its containers, plus its RuntimeClass
overhead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from koordnri.model import Container, Pod, quantity_milli
from koordnri.model.convert import CFS_PERIOD_US, milli_to_quota_us

_WHOLE = ""
"""Key of the pod's own limit beside its containers' names; no container has this name."""


def quotas_by_name(pod: Pod, containers: Iterable[Container], last: Mapping[str, int]) -> dict[str, int]:
    """kubelet's quotas in µs by container name, over those known before; 0: none. If two containers of one name disagree, the known one
    stays.
    """
    now: dict[str, int] = {}
    unclear = set()
    for container in containers:
        quota = max(container.baseline.cpu_quota or 0, 0)
        if now.setdefault(container.name, quota) != quota:
            unclear.add(container.name)
    now = {**last, **{name: last.get(name, quota) if name in unclear else quota for name, quota in now.items()}}
    if pod.spec is not None and pod.spec.limits:
        now[_WHOLE] = _quota_us(pod, pod.spec.limits)
    return now


def pods_quota(pod: Pod, quotas: Mapping[str, int]) -> int:
    """The pod's quota in µs from those of `quotas_by_name`; 0 (none) when neither the pod nor one of its containers has a limit."""
    total = quotas.get(_WHOLE) or (
        sum(quotas.values()) if all(quota for name, quota in quotas.items() if name != _WHOLE) else 0
    )
    if not total or pod.spec is None or not pod.spec.overhead:
        return total
    return total + _quota_us(pod, pod.spec.overhead)


def _quota_us(pod: Pod, quantities: Mapping[str, str | int | float]) -> int:
    """Quota for so much CPU; 0 for none, or for an invalid quantity, which the API server does not accept."""
    try:
        milli = quantity_milli(quantities.get("cpu", 0))
    except ValueError:
        return 0
    return milli_to_quota_us(milli, pod.resources.cpu_period or CFS_PERIOD_US) if milli > 0 else 0
