"""The runtime's pods and containers."""

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
    """False after the runtime's restart: containerd then sends no StopPodSandbox and RemovePodSandbox for it"""

    def as_sent(self, version: Version) -> api.PodSandbox:
        """As plugins get it."""
        message = api.PodSandbox()
        message.CopyFrom(self.message)
        drop_from_pod(message, version)
        return message


@dataclass(slots=True)
class ContainerState:
    """One container."""

    pod_id: str
    requested: api.Container
    """as kubelet asked"""
    spec: api.Container
    """as it runs: adjusted and updated. `linux.resources.blockio_class` and `linux.rdt` hold its classes"""
    adjust: api.ContainerAdjustment = field(default_factory=api.ContainerAdjustment)
    """what all plugins together asked for at its creation; holds the memory policy too, for which a spec has no field"""
    owners: dict[str, str] = field(default_factory=dict)
    """"CPUQuota" or "Env NAME" → plugin that set it at the container's creation"""
    levels: tuple[api.LinuxResources, ...] = ()
    """what the OCI runtime wrote into its cgroup. crun on v2 writes it again into the level below, which has the processes"""
    known: bool = True
    """False between the runtime's restart and the next Synchronize: until then containerd sends no stop and removal of it"""

    @property
    def id(self) -> str:
        """The runtime's id."""
        return self.spec.id

    @property
    def name(self) -> str:
        """As in the pod's spec."""
        return self.spec.name

    @property
    def env(self) -> dict[str, str]:
        """Its environment. Of a variable that is there twice the last counts, as for its processes."""
        return dict(entry.partition("=")[::2] for entry in self.spec.env)

    @property
    def runs(self) -> bool:
        """Whether it was started and not stopped."""
        return self.spec.state == api.CONTAINER_RUNNING

    def as_sent(self, version: Version) -> api.Container:
        """As plugins get it."""
        return as_sent(self.spec, version)


def as_sent(spec: api.Container, version: Version) -> api.Container:
    """A container as plugins get it: never with classes, and from an old runtime with fewer fields."""
    message = api.Container()
    message.CopyFrom(spec)
    message.linux.resources.ClearField("blockio_class")
    message.linux.resources.ClearField("rdt_class")
    drop_from_container(message, version)
    return message
