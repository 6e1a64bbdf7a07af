"""`host-application-config`: services that run on the node outside of Kubernetes. Source: Koordinator's HostApplicationSpec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from koordnri.policy.errors import shown
from koordnri.policy.reader import Document
from koordnri.policy.units import Text

_LS_DIRECTORY, _BE_DIRECTORY = "host-latency-sensitive", "host-best-effort"
_TOPS = {"LSE": _LS_DIRECTORY, "LSR": _LS_DIRECTORY, "LS": _LS_DIRECTORY, "BE": _BE_DIRECTORY}
_OF_THE_SYSTEM = frozenset({"init.scope", "system.slice", "user.slice", "machine.slice", "-.slice"})
"""cgroups that have everything of their kind: no application's own"""
_RUN_PODS = frozenset(
    f"{name}{kind}"
    for name in ("kubelet", "containerd", "crio", "cri-o", "docker", "koordnri", "runtime", "podruntime")
    for kind in ("", ".service", ".slice")
)
"""cgroups, also above others, of what runs pods: kubelet and the runtime must not be throttled"""


class CgroupPath(Document, frozen=True):
    """Where the application's cgroup is: base / parentDir / relativePath."""

    base: Literal["CgroupRoot", "Kubepods", "KubepodsBurstable", "KubepodsBesteffort"] = "CgroupRoot"
    parent_dir: str = ""
    relative_path: str = ""

    def check(self) -> Iterator[tuple[str, str]]:
        for name, path in (("parentDir", self.parent_dir), ("relativePath", self.relative_path)):
            if ".." in path.split("/"):
                yield name, f'expected a path below the base, without "..", got {shown(path)}'


class HostApplication(Document, frozen=True):
    """One service."""

    name: Text
    priority: Literal["koord-prod", "koord-mid", "koord-batch", "koord-free"] | None = None
    """Priority class."""
    qos: Literal["LSE", "LSR", "LS", "BE", "SYSTEM"] | None = None
    """QoS class; None is treated as none, not as a default."""
    cgroup_path: CgroupPath | None = None
    """None: host-latency-sensitive/<name> for LS*, host-best-effort/<name> for BE."""

    @property
    def place(self) -> tuple[str, str]:
        """(base, as in CgroupPath; directory below it, "" for the base itself)."""
        path = self.cgroup_path
        if path is None:
            top, below = _TOPS.get(self.qos or "", ""), _one_form(self.name)
            return "CgroupRoot", f"{top}/{below}" if top and below else below
        return path.base, _one_form(f"{path.parent_dir}/{path.relative_path}")

    @property
    def why_not(self) -> str:
        """Why it is left alone on every node; "" when it is not."""
        _, directory = self.place
        parts = directory.split("/")
        if self.qos is None:
            return "it has no qos, and so nothing that a class gives"
        if not directory:
            return f"{'cgroupPath' if self.cgroup_path else 'its name'} names no cgroup of its own below the base"
        if ".." in parts or not directory.isprintable():
            return f'expected a path without ".." and control characters, got {shown(directory)}'
        taken = [part for part in parts if part in _RUN_PODS] or [directory][: directory in _OF_THE_SYSTEM]
        return f"{shown(taken[0])} is a cgroup of the system, of kubelet or of the runtime" if taken else ""


def _one_form(path: str) -> str:
    """The path without what names nothing, so that it can be compared: `/./a//b` is `a/b`, and `.` is ""."""
    return "/".join(part for part in path.split("/") if part and part != ".")


class HostApplications(Document, frozen=True):
    """The document; a node's list replaces the cluster's."""

    applications: tuple[HostApplication, ...] = ()
