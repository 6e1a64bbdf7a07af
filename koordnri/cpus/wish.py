"""Whether a container wants CPUs for itself, where no scheduler has assigned any: annotation `scheduling.koordinator.sh/resource-spec`.

LSE and LSR containers whose CPU limit is a whole number, and whose request is as much. Source: koordlet.md 2.1, 5; Koordinator's
"fine-grained CPU orchestration".
"""

from __future__ import annotations

from typing import cast

import msgspec

from koordnri.cpus.choice import Bind, Exclusive, Wish
from koordnri.model.annotations import RESOURCE_STATUS, Annotation
from koordnri.model.convert import CFS_PERIOD_US, milli_to_shares
from koordnri.model.errors import AnnotationError
from koordnri.model.go_json import go_decoder
from koordnri.model.pod import Pod
from koordnri.model.qos import QoSClass
from koordnri.model.resources import Resources

_BINDS = ("FullPCPUs", "SpreadByPCPUs")
EXCLUSIVES = ("PCPULevel", "NUMANodeLevel")


class ResourceSpec(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How the pod's owner wants CPUs to be chosen. What is required is not given up when it cannot be had, what is preferred is."""

    preferred_cpu_bind_policy: str = msgspec.field(default="", name="preferredCPUBindPolicy")
    required_cpu_bind_policy: str = msgspec.field(default="", name="requiredCPUBindPolicy")
    preferred_cpu_exclusive_policy: str = msgspec.field(default="", name="preferredCPUExclusivePolicy")


RESOURCE_SPEC = Annotation("scheduling.koordinator.sh/resource-spec", go_decoder(ResourceSpec))


def may_wish(pod: Pod) -> bool:
    """Whether its containers might; quickly, for most may not."""
    qos = pod.qos
    return (qos is QoSClass.LSR or qos is QoSClass.LSE) and RESOURCE_STATUS.key not in pod.annotations


def wishes_of(pod: Pod, baseline: Resources) -> list[Wish]:
    """What a container wants, the best first; [] when it wants no CPUs for itself. Raises AnnotationError."""
    quota, period = baseline.cpu_quota or 0, baseline.cpu_period or CFS_PERIOD_US
    if not may_wish(pod) or quota <= 0 or quota % period:
        return []
    cpus = quota // period
    if baseline.cpu_shares != milli_to_shares(cpus * 1000):  # the request is less than the limit
        return []
    spec = RESOURCE_SPEC.of(pod) or ResourceSpec()
    required = _one_of(spec.required_cpu_bind_policy, _BINDS, "requiredCPUBindPolicy")
    bind = required or _one_of(spec.preferred_cpu_bind_policy, _BINDS, "preferredCPUBindPolicy")
    exclusive = _one_of(spec.preferred_cpu_exclusive_policy, EXCLUSIVES, "preferredCPUExclusivePolicy")
    best = Wish(cpus, cast("Bind", bind), cast("Exclusive", exclusive))
    next_best = [best._replace(exclusive="")]
    if not required:
        next_best += [best._replace(bind=""), Wish(cpus)]
    return list(dict.fromkeys([best, *next_best]))


def _one_of(value: str, known: tuple[str, ...], key: str) -> str:
    if value in ("", "Default", "None"):
        return ""
    if value not in known:
        raise AnnotationError(RESOURCE_SPEC.key, f'{key}: expected {" or ".join(known)}, got "{value[:60]}"')
    return value
