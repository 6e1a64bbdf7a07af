"""`host-application-config`: services that run on the node outside of Kubernetes. Source: Koordinator's HostApplicationSpec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from koordnri.policy.errors import shown
from koordnri.policy.reader import Document
from koordnri.policy.units import Text


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


class HostApplications(Document, frozen=True):
    """The document; a node's list replaces the cluster's."""

    applications: tuple[HostApplication, ...] = ()
