"""Pods and containers of the runtime."""

from __future__ import annotations

from dataclasses import dataclass, field

from koordnri.runtime.age import drop_from_container, drop_from_pod
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import Version


@dataclass(slots=True)
class PodState:
    """One pod sandbox."""

    message: api.PodSandbox
    stopped: bool = False
    known: bool = True
    """False after the runtime's restart: containerd then delivers no StopPodSandbox and RemovePodSandbox for it"""

    def told(self, version: Version) -> api.PodSandbox:
        """As a plugin is told."""
        message = api.PodSandbox()
        message.CopyFrom(self.message)
        drop_from_pod(message, version)
        return message


@dataclass(slots=True)
class ContainerState:
    """One container."""

    pod_id: str
    requested: api.Container
    """as kubelet asked for it"""
    spec: api.Container
    """as it runs: adjusted and updated. `linux.resources.blockio_class` and `linux.rdt` hold the classes it got"""
    adjust: api.ContainerAdjustment = field(default_factory=api.ContainerAdjustment)
    """what all plugins together asked for when it was created; also holds the memory policy, which a spec has no place for"""
    owners: dict[str, str] = field(default_factory=dict)
    """"CPUQuota" or "Env NAME" → plugin that set it when the container was created"""
    levels: tuple[api.LinuxResources, ...] = ()
    """what the OCI runtime has written into its cgroup; crun on v2 a second time into the level below, which has the processes"""
    known: bool = True
    """False between the runtime's restart and the next Synchronize: containerd delivers no stop and removal of it then"""

    @property
    def id(self) -> str:
        """The runtime's id of it."""
        return self.spec.id

    @property
    def name(self) -> str:
        """As in the pod's spec."""
        return self.spec.name

    @property
    def env(self) -> dict[str, str]:
        """Its environment; of a variable that is there twice, the last, as for its processes."""
        return dict(entry.partition("=")[::2] for entry in self.spec.env)

    @property
    def runs(self) -> bool:
        """Whether it was started and not stopped."""
        return self.spec.state == api.CONTAINER_RUNNING

    def told(self, version: Version) -> api.Container:
        """As a plugin is told."""
        return told(self.spec, version)


def told(spec: api.Container, version: Version) -> api.Container:
    """A container as a plugin is told: classes are never in it, and an old runtime knows less."""
    message = api.Container()
    message.CopyFrom(spec)
    message.linux.resources.ClearField("blockio_class")
    message.linux.resources.ClearField("rdt_class")
    drop_from_container(message, version)
    return message
