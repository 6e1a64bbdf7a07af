"""Whether a container wants exclusive CPUs, how many, or why not.

LSE and LSR containers whose CPU limit is a whole number and equals the request. Source: koordinator.md 1, 4.1; Koordinator's "fine-grained
CPU orchestration". An annotation that cannot be parsed counts as absent; the cpuset hook reports it to the pod's owner.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from koordnri.cpus.choice import Bind, Wish
from koordnri.model.allocated import Exclusive
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.assigned import is_assigned
from koordnri.model.convert import CFS_PERIOD_US, milli_to_shares
from koordnri.model.errors import AnnotationError
from koordnri.model.pod import Pod
from koordnri.model.qos import QoSClass
from koordnri.model.quantity import quantity_milli
from koordnri.model.resource_spec import EXCLUSIVE_CPUS, ResourceSpec, owners_named, resource_spec
from koordnri.model.resources import Resources


class WantedCPUs(NamedTuple):
    """The exclusive CPUs that a container wants."""

    wishes: tuple[Wish, ...] = ()
    """alternatives, the best first; none when it shares"""
    why_not: str = ""
    """why an LSE or LSR container has no wish; "" for all others"""

    @property
    def cpus(self) -> int:
        """How many CPUs."""
        return self.wishes[0].cpus if self.wishes else 0


_NOTHING = WantedCPUs()


def may_wish(pod: Pod) -> bool:
    """Whether its containers might want some. A quick check, since most pods do not."""
    qos = pod.qos
    return (qos is QoSClass.LSR or qos is QoSClass.LSE) and not (
        RESOURCE_STATUS.key in pod.annotations and is_assigned(pod)
    )


def wanted_by(pod: Pod, name: str, baseline: Resources) -> WantedCPUs:
    """What container `name` of `pod` wants; `baseline`: what kubelet asked for it."""
    if not may_wish(pod):
        return _NOTHING
    if (named := _named(pod)) is not None and name not in named:
        return WantedCPUs((), f"annotation {EXCLUSIVE_CPUS.key} does not name it")
    cpus, why_not = _whole_cpus(pod, name, baseline)
    if why_not:
        return WantedCPUs((), why_not)
    return WantedCPUs(tuple(_wishes(cpus, _spec_of(pod))))


def pod_limit(pod: Pod) -> int | None:
    """How many exclusive CPUs a pod's containers may have together: the pod's own request (KEP-2837); None: no such limit."""
    asked = None if pod.spec is None else pod.spec.requests.get("cpu")
    milli = None if asked is None else _milli(asked)
    return None if milli is None else milli // 1000


def _whole_cpus(pod: Pod, name: str, baseline: Resources) -> tuple[int, str]:
    """(number of CPUs, "") for a container that wants some, else (0, why not)."""
    quota, period = baseline.cpu_quota or 0, baseline.cpu_period or CFS_PERIOD_US
    spec = None if pod.spec is None else pod.spec.containers.get(name)
    if spec is not None and "cpu" not in spec.limits:
        above = pod.spec is not None and "cpu" in pod.spec.limits
        return 0, "it has no CPU limit of its own" + (", only its pod has" if above else "")
    if quota > 0:
        milli = quota * 1000 // period if quota * 1000 % period == 0 else 0
        shown = f"{quota * 1000 / period:g}m"
    elif spec is not None:  # no quota: kubelet runs with cpuCFSQuota: false, or we lifted it
        milli, shown = _milli(spec.limits["cpu"]) or 0, str(spec.limits["cpu"])[:20]
    else:
        return 0, "no CPU limit is known of it: no quota was asked for, and its pod's spec is not known"
    if milli <= 0 or milli % 1000:
        return 0, f"its CPU limit of {shown} is no whole number of CPUs"
    if baseline.cpu_shares != milli_to_shares(milli):
        return 0, f"it does not request as many CPUs as its limit of {milli // 1000}"
    return milli // 1000, ""


def _wishes(cpus: int, spec: ResourceSpec) -> list[Wish]:
    required = spec.required_cpu_bind_policy
    best = Wish(
        cpus,
        cast("Bind", required or spec.preferred_cpu_bind_policy),
        cast("Exclusive", spec.preferred_cpu_exclusive_policy),
    )
    next_best = [best._replace(exclusive="")]
    if not required:
        next_best += [best._replace(bind=""), Wish(cpus)]
    return list(dict.fromkeys([best, *next_best]))


def _spec_of(pod: Pod) -> ResourceSpec:
    try:
        return resource_spec(pod)
    except AnnotationError:
        return ResourceSpec()


def _named(pod: Pod) -> list[str] | None:
    if EXCLUSIVE_CPUS.key not in pod.annotations:
        return None
    try:
        return owners_named(pod)
    except AnnotationError:
        return None


def _milli(quantity: str | int | float) -> int | None:
    try:
        return quantity_milli(quantity)
    except ValueError:
        return None
