"""How the owner of a pod wants exclusive CPUs to be chosen, and for which containers.

`scheduling.koordinator.sh/resource-spec` is Koordinator's ("fine-grained CPU orchestration"), `koordnri.sh/exclusive-cpus` is ours.
"""

from __future__ import annotations

from typing import get_args

import msgspec

from koordnri.model.allocated import Exclusive
from koordnri.model.annotations import Annotation
from koordnri.model.errors import AnnotationError
from koordnri.model.go_json import go_decoder
from koordnri.model.pod import Pod

BINDS = ("FullPCPUs", "SpreadByPCPUs")
EXCLUSIVES = tuple(filter(None, get_args(Exclusive)))
_NO_POLICY = ("", "Default", "None")


class ResourceSpec(msgspec.Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """Without CPUs that fit a required policy there are none; a preferred policy is dropped then. "": not asked for."""

    preferred_cpu_bind_policy: str = msgspec.field(default="", name="preferredCPUBindPolicy")
    required_cpu_bind_policy: str = msgspec.field(default="", name="requiredCPUBindPolicy")
    preferred_cpu_exclusive_policy: str = msgspec.field(default="", name="preferredCPUExclusivePolicy")


RESOURCE_SPEC = Annotation("scheduling.koordinator.sh/resource-spec", go_decoder(ResourceSpec))
EXCLUSIVE_CPUS = Annotation("koordnri.sh/exclusive-cpus", msgspec.json.Decoder(list[str]).decode)
"""JSON list of the containers that want exclusive CPUs; without it, all that qualify"""
_NOTHING = ResourceSpec()


def resource_spec(pod: Pod) -> ResourceSpec:
    """The pod's resource-spec, with known policies only. Raises AnnotationError when it cannot be parsed."""
    spec = RESOURCE_SPEC.of(pod)
    if spec is None:
        return _NOTHING
    return ResourceSpec(
        _one_of(spec.preferred_cpu_bind_policy, BINDS, "preferredCPUBindPolicy"),
        _one_of(spec.required_cpu_bind_policy, BINDS, "requiredCPUBindPolicy"),
        _one_of(spec.preferred_cpu_exclusive_policy, EXCLUSIVES, "preferredCPUExclusivePolicy"),
    )


def owners_named(pod: Pod) -> list[str] | None:
    """Names of the containers that want exclusive CPUs; None when the pod names none. Raises AnnotationError for a list that cannot be
    parsed, or that names a container which the pod's spec (if known) lacks.
    """
    names = EXCLUSIVE_CPUS.of(pod)
    if names is None or pod.spec is None:
        return names
    if unknown := [name for name in names if name not in pod.spec.containers]:
        have = ", ".join(pod.spec.containers)[:120]
        raise AnnotationError(EXCLUSIVE_CPUS.key, f'expected names of containers ({have}), got "{unknown[0][:60]}"')
    return names


def _one_of(value: str, known: tuple[str, ...], key: str) -> str:
    if value in _NO_POLICY:
        return ""
    if value not in known:
        raise AnnotationError(RESOURCE_SPEC.key, f'{key}: expected {" or ".join(known)}, got "{value[:60]}"')
    return value
