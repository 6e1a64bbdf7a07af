"""What pods may ask by annotation to have put into their containers at creation: kinds of injection, their annotation keys and scopes.

Keys, scopes and their order are those of NRI's sample plugins (containerd/nri, plugins/), so that pods need no change. Two are koordnri's
own, in the same manner:

    KEY/container.NAME   of that container, before all others
    KEY/pod, KEY         of every container of the pod

Each may be written with the kind's present key or with its former one; in one scope the present key takes precedence.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from koordnri.model.pod import Pod


class Injection(NamedTuple):
    """One kind."""

    name: str
    """key below `koordnri-config.trust.injection`; kinds that are trusted together have one"""
    keys: tuple[str, ...]
    """annotation keys without scope, the present one first"""
    of_pod: bool = True
    """whether the scopes of the whole pod exist; if not, only KEY/container.NAME does"""

    def written(self, pod: Pod, container: str) -> tuple[str, str] | None:
        """(annotation key, text) that counts for a container; None without one."""
        scopes = (f"/container.{container}", "/pod", "") if self.of_pod else (f"/container.{container}",)
        annotations = pod.annotations
        for scope in scopes:
            for key in self.keys:
                if (text := annotations.get(key + scope)) is not None:
                    return key + scope, text
        return None

    def has_scope(self, scope: str) -> bool:
        """Whether the part of a key from its `/` on is a scope of this kind."""
        return scope.startswith("/container.") or (self.of_pod and scope in ("", "/pod"))


DEVICES = Injection("devices", ("devices.noderesource.dev", "devices.nri.io"))
CDI_DEVICES = Injection("cdiDevices", ("cdi-devices.noderesource.dev", "cdi-devices.nri.io"))
MOUNTS = Injection("mounts", ("mounts.noderesource.dev", "mounts.nri.io"))
ULIMITS = Injection("ulimits", ("ulimits.noderesource.dev", "ulimits.nri.containerd.io"), of_pod=False)
IO_PRIORITY = Injection("ioPriority", ("io-priority.noderesource.dev", "io-priority.nri.io"))
SCHEDULING_POLICY = Injection("schedulingPolicy", ("scheduling-policy.noderesource.dev", "scheduling-policy.nri.io"))
SYSCTL = Injection("sysctl", ("sysctl.noderesource.dev",))
MEMORY_POLICY = Injection("memoryPolicy", ("memory-policy.noderesource.dev", "memory-policy.nri.io"))
NETWORK_DEVICES = Injection("networkDevices", ("network-devices.noderesource.dev", "network-devices.nri.io"))
RDT_CLOSID = Injection("rdt", ("closid.rdt.noderesource.dev",), of_pod=False)
RDT_SCHEMATA = Injection("rdt", ("schemata.rdt.noderesource.dev",), of_pod=False)
RDT_MONITORING = Injection("rdt", ("enablemonitoring.rdt.noderesource.dev",), of_pod=False)
WRITABLE_CGROUPS = Injection("writableCgroups", ("writable-cgroups.noderesource.dev",))
OCI_HOOKS = Injection("ociHooks", ())
"""not by annotation: files of the host decide"""
ENVIRONMENT = Injection("environment", ("environment.koordnri.sh",))
ANNOTATIONS = Injection("annotations", ("annotations.koordnri.sh",))

ALL: tuple[Injection, ...] = tuple(value for value in globals().values() if isinstance(value, Injection))
"""All kinds, in the order above."""
_BY_KEY = {key: kind for kind in ALL for key in kind.keys}
_PARSED = "injections"


def annotated(annotations: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Kind → the annotation keys of that kind, of all scopes; empty for most pods."""
    found: dict[str, tuple[str, ...]] = {}
    for key in annotations:
        base, slash, scope = key.partition("/")
        kind = _BY_KEY.get(base)
        if kind is not None and kind.has_scope(slash + scope):
            found[kind.name] = (*found.get(kind.name, ()), key)
    return found


def asked_by(pod: Pod) -> dict[str, tuple[str, ...]]:
    """`annotated` of a pod, computed once."""
    found: dict[str, tuple[str, ...]] | None = pod.parsed.get(_PARSED)
    if found is None:
        found = pod.parsed[_PARSED] = annotated(pod.annotations)
    return found
