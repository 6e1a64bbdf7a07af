"""Running pods and the cgroups above them, with their files, as a comparison reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from koordnri.host.cgroup.change import Reading, Status
from koordnri.model import Container, Field, NodeState, Pod
from koordnri.model.class_cgroup import OuterCgroup
from koordnri.model.fields import split_name
from koordnri.model.resources import NOTHING, Resources

_NOTHING: Mapping[str, Any] = MappingProxyType({})


_UNREAD = Reading(None, Status.GONE)


class Files(NamedTuple):
    """The files of one cgroup."""

    had: Mapping[str, Any] = _NOTHING
    """field name → what the file held before our first write, if known"""
    read: Callable[[Field, str], Reading] = lambda field, disk: _UNREAD
    """(field, `major:minor` or "") → what the file holds now"""

    def before_us(self, field: Field, name: str, node: NodeState) -> Any:
        """The file's value without us; None when no file shows it."""
        if name in self.had:
            return self.had[name]
        key = split_name(name)[1]
        return self.read(field, (node.block_devices or {}).get(key, key)).value


_NO_FILES = Files()


class Running(NamedTuple):
    """A running pod."""

    pod: Pod
    """with the resources that kubelet set on its cgroup"""
    containers: Sequence[Container] = ()
    files: Files = _NO_FILES
    """the pod's own; cpu.cpus is its sandbox's"""
    sandbox: bool = True
    """whether the sandbox has a cgroup; not if the runtime runs no pause container"""


class Above(NamedTuple):
    """A cgroup outside of pods."""

    cgroup: OuterCgroup
    resources: Resources = NOTHING
    """as kubelet or a service manager set them"""
    files: Files = _NO_FILES
