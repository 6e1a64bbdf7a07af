"""What a hook gets: one container (or pod, class, host application), the policy, the node; and how it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from koordnri.model import fields
from koordnri.model.annotations import RESOURCE_STATUS, fault_of
from koordnri.model.assigned import assigned_on
from koordnri.model.container import Container, Event
from koordnri.model.cpuset import NO_CPUS, CPUSet
from koordnri.model.decision import NEW, NO_FIELDS, NO_SETTINGS, Draft, Setting
from koordnri.model.field import Adjust
from koordnri.model.fields import Field
from koordnri.model.node import NodeState
from koordnri.model.pod import Pod
from koordnri.model.qos import KubeQoS, QoSClass
from koordnri.model.resources import Resources
from koordnri.model.routes import CONTROL, RESCTRL, WRITE, Refusal, Routes

if TYPE_CHECKING:  # needed for types only
    from koordnri.policy import Policy
    from koordnri.policy.host_application import HostApplication


class _Context(Draft):
    """One decision in the making: what is decided so far, and what it depends on. The chain sets `hook` and `owns` before it calls a
    hook.
    """

    __slots__ = ("hook", "node", "owns", "policy", "routes")

    def __init__(self, policy: Policy, node: NodeState, routes: Routes) -> None:
        super().__init__()
        self.policy = policy
        self.node = node
        self.routes = routes
        self.hook = ""
        self.owns = NO_FIELDS

    def set(self, field: Field, value: Any, reason: str, key: str = "") -> None:
        """Decide a field. If it cannot be set here (wrong cgroup version, too late), it is listed as skipped instead.

        Raises LookupError when the running hook does not own the field, which is a bug of the hook.
        """
        if field not in self.owns:
            raise LookupError(f"hook {self.hook} set {field.name}, which it does not own: add it to `owns`")
        route = self.routes[field]
        name = f"{field.name}[{key}]" if field.keyed else field.name
        if route.__class__ is Refusal:
            self.skipped[name] = route
            return
        if field.keyed and field.adjust is Adjust.UNIFIED and self._has_other(field, key):
            # runc before 1.2 writes a unified value at once, and the kernel accepts one device per write (runc 4182):
            # a second line would keep the container from starting.
            route = WRITE
        if field is fields.RDT_CLOSID and (self.node.resctrl is None or value not in self.node.resctrl.groups):
            # The group does not exist yet, and the runtime fails a container with an unknown group.
            route = RESCTRL
        self.settings[name] = NEW(Setting, (field, key, value, self.hook, reason, route))

    def control(self, field: Field, value: Any, reason: str) -> None:
        """Let a field's cgroup file have the value that a feedback controller wants (`node.control`), in place of what `set` decides.

        The value is written and never sent to the runtime, whose stored spec keeps what `set` decided. Raises LookupError as `set` does.
        """
        if field not in self.owns:
            raise LookupError(f"hook {self.hook} set {field.name}, which it does not own: add it to `owns`")
        route = self.routes[field]
        if route.__class__ is Refusal:
            self.skipped[field.name] = route
            return
        if self.controlled is NO_SETTINGS:
            self.controlled = {}
        self.controlled[field.name] = NEW(Setting, (field, "", value, self.hook, reason, CONTROL))  # type: ignore[index]

    def _has_other(self, field: Field, key: str) -> bool:
        return any(s.field is field and s.key != key and s.route != WRITE for s in self.settings.values())

    def skip(self, what: Field | str, reason: str, key: str = "") -> None:
        """Leave a field (or, given the hook's name, the whole hook) alone, and say why."""
        self.skipped[what if isinstance(what, str) else what.named(key)] = reason

    def error(self, error: Exception) -> None:
        """Report a mistake in one part (one block device, one GPU), and go on with the rest."""
        self.errors = (*self.errors, fault_of(self.hook, error))


class PodContext(_Context):
    """For `decide_pod`: the pod's own cgroup, above its containers."""

    __slots__ = ("containers", "pod")

    def __init__(
        self, pod: Pod, policy: Policy, node: NodeState, routes: Routes, containers: Sequence[Container] = ()
    ) -> None:
        super().__init__(policy, node, routes)
        self.pod = pod
        self.containers = containers
        """those that the runtime has reported, including init containers that have ended"""

    @property
    def baseline(self) -> Resources:
        """What kubelet set on the pod's cgroup."""
        return self.pod.resources


class ClassContext(_Context):
    """For `decide_class`: the cgroup of a Kubernetes QoS class, above its pods. Guaranteed's is the cgroup of all pods."""

    __slots__ = ("kube_qos", "pods")

    def __init__(self, kube_qos: KubeQoS, pods: Sequence[Pod], policy: Policy, node: NodeState, routes: Routes) -> None:
        super().__init__(policy, node, routes)
        self.kube_qos = kube_qos
        self.pods = pods
        """all pods below that cgroup (below Guaranteed's, also those of the other classes), except those that are left alone"""


class RootContext(_Context):
    """For `decide_root`: the root of all cgroups, where the kernel has the settings of whole disks."""

    __slots__ = ()


class HostContext(_Context):
    """For `decide_host`: the cgroup of an application outside of pods."""

    __slots__ = ("application", "baseline", "qos")

    def __init__(
        self, application: HostApplication, baseline: Resources, policy: Policy, node: NodeState, routes: Routes
    ) -> None:
        super().__init__(policy, node, routes)
        self.application = application
        self.qos = QoSClass.NONE if application.qos is None else QoSClass(application.qos)
        """NONE: the policy gives it no class"""
        self.baseline = baseline
        """what its service manager set on the cgroup: CPU quota and memory limit"""


class ContainerContext(_Context):
    """For `decide`: one container at one event."""

    __slots__ = ("container", "event", "pod")

    def __init__(
        self, pod: Pod, container: Container, event: Event, policy: Policy, node: NodeState, routes: Routes
    ) -> None:
        # Not super().__init__, because this is built for every container on the event path.
        self.pod = pod
        self.policy = policy
        self.node = node
        self.routes = routes
        self.settings = {}
        self.observed = self.controlled = NO_SETTINGS
        self.skipped = {}
        self.errors = ()
        self.undecided = self.owns = NO_FIELDS
        self.hook = ""
        self.container = container
        self.event = event

    @property
    def baseline(self) -> Resources:
        """What kubelet asked for. Start from this, never from the runtime's stored spec, which contains our own adjustments."""
        return self.container.baseline

    @property
    def exclusive_cpus(self) -> CPUSet:
        """The container's exclusive CPUs from this node; empty when it has none."""
        given = self.node.exclusive_cpus
        return given[self.pod.key].get(self.container.name, NO_CPUS) if given and self.pod.key in given else NO_CPUS

    @property
    def cpus_pinned(self) -> bool:
        """Whether the cpuset hook gave the container exclusive CPUs: from the scheduler or from this node."""
        text = self.value(fields.CPU_CPUS)
        if text is None:
            return False
        if self.node.exclusive_cpus and (exclusive := self.exclusive_cpus) and exclusive == CPUSet.parse(text):
            return True
        if RESOURCE_STATUS.key not in self.pod.annotations:
            return False
        assigned = assigned_on(self.pod, self.node)
        if not assigned:
            return False
        if self.node.topology is not None:
            assigned &= self.node.topology.online  # the hook leaves out offline ones
        return bool(assigned) and assigned == CPUSet.parse(text)
