"""A node with the installed hooks, on which pods live by messages as runtimes send them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from koordnri.chain import Chain, Snapshot, load_hooks
from koordnri.hook import Hook
from koordnri.model import Event, NodeState, Pod, fields
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.pod import PodSpec
from koordnri.model.resources import Note
from koordnri.model.topology import Topology
from koordnri.policy import Policy
from koordnri.runtime.kernel_limits import KernelLimits
from koordnri.runtime.oci import apply_adjustment, apply_update
from koordnri.session.handler import EventHandler
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.state.ledger import Ledger
from koordnri.wire import api_pb2 as api
from koordnri.wire import views_pb2 as views
from koordnri.wire.versions import Version
from tests.support import messages
from tests.support.policies import policy_of

NODE = NodeState(topology=Topology.regular(1, 1, 8, 1), block_devices={"/dev/sda": "8:0"})
PINNED = {RESOURCE_STATUS.key: '{"cpuset": "2-3"}'}
PINS: dict[str, int | str] = {"cpu.cpus": "2-3", "cpu.quota": -1}
"""what PINNED makes of a container, as it is noted"""
BELIEVING = policy_of()
"""The default policy, which believes these pods, too."""
ALL_OFF = policy_of(koordnri_config={"hooks": {"cpuset": {"mode": "off"}, "cfs_quota": {"mode": "off"}}})


class Observed:
    """Hears of decisions."""

    def __init__(self) -> None:
        self.reported: list[tuple[str, str, str, Any]] = []

    def decided(self, pod: Any, container: Any, event: Event, decision: Any) -> None:
        self.reported.append((event.value, pod.name, container.name, decision))

    def refused(self, pod: Any, container: Any, event: Event, decision: Any) -> None:
        self.reported.append(("refused", pod.name, container.name, decision))

    def never_started(self, pod: Any, entry: Any) -> None:
        self.reported.append(("never started", pod.name if pod else "", entry.name, None))


class Node:
    """The handler, and what the runtime keeps: pods, and containers with the spec that adjustments and updates made of it."""

    def __init__(
        self,
        under: Policy = BELIEVING,
        node: NodeState = NODE,
        hooks: list[Hook] | None = None,
        notes: dict[str, Note] | None = None,
        specs: dict[str, PodSpec] | None = None,
        clock: Callable[[], int] | None = None,
        cpus: Any = None,
        overlay: Callable[[Pod], Pod] = lambda pod: pod,
    ) -> None:
        self.observed = Observed()
        self.saved = 0
        self.ledger = Ledger(notes, self._save)
        chain = Chain(load_hooks() if hooks is None else hooks, *([clock] if clock else []))
        self.handler = EventHandler(
            chain,
            self.ledger,
            Snapshot.of(under, node),
            self.observed,
            specs or {},
            cpus=cpus,
            overlay=overlay,
            **({"clock": clock} if clock else {}),
        )
        self.handler.runtime = RuntimeInfo("containerd", "v2.3.0", Version(0, 12, 0))
        self.pods: dict[str, api.PodSandbox] = {}
        self.containers: dict[str, api.Container] = {}

    def _save(self) -> None:
        self.saved += 1

    def adopt(self, policy: Policy, node: NodeState = NODE) -> None:
        self.handler.snapshot = Snapshot.of(policy, node)

    def restarted(
        self,
        under: Policy = BELIEVING,
        notes: dict[str, Note] | None = None,
        node: NodeState = NODE,
        overlay: Callable[[Pod], Pod] = lambda pod: pod,
    ) -> Node:
        """The daemon again, on a runtime that has gone on."""
        new = Node(under, node, notes=notes, overlay=overlay)
        new.pods, new.containers = self.pods, self.containers
        return new

    def pod(self, pod_id: str = "p1", annotations: dict[str, str] | None = None, qos: str = "") -> str:
        parent = f"/kubepods/burstable/poduid-{pod_id}"
        self.pods[pod_id] = messages.pod(pod_id, qos, parent, annotations=annotations)
        return pod_id

    def create(
        self, pod_id: str, container_id: str = "c1", settle: bool = True, oom_score_adj: int | None = None, **asked: int
    ) -> Any:
        """CreateContainer; the adjustment, which is in the spec from now on."""
        container = messages.container(container_id, pod_id, name="main")
        if oom_score_adj is not None:
            container.linux.oom_score_adj.value = oom_score_adj
        container.linux.resources.CopyFrom(kubelet(**{"shares": 512, "quota": 50_000, "period": 100_000, **asked}))
        request = api.CreateContainerRequest(pod=self.pods[pod_id], container=container)
        answer = self.handler.handle("CreateContainer", request.SerializeToString())
        assert answer.message is not None
        if settle and answer.settle is not None:
            answer.settle()
        adjust = answer.message.adjust
        apply_adjustment(container, adjust, KernelLimits())
        self.containers[container_id] = container
        return adjust

    def preexisting(self, pod_id: str, container_id: str = "c1", **asked: int) -> api.Container:
        container = messages.container(container_id, pod_id, name="main")
        container.linux.resources.CopyFrom(kubelet(**{"shares": 512, "quota": 50_000, "period": 100_000, **asked}))
        self.containers[container_id] = container
        return container

    def update(self, container_id: str = "c1", apply: bool = True, **asked: Any) -> api.LinuxResources | None:
        """UpdateContainer as kubelet resizes; what our reply sets, None when it is empty."""
        container = self.containers[container_id]
        linux = kubelet(**{"shares": 0, "quota": 0, "period": 0, "memory": 0, **asked})
        request = api.UpdateContainerRequest(
            pod=self.pods[container.pod_sandbox_id], container=container, linux_resources=linux
        )
        answer = self.handler.handle("UpdateContainer", request.SerializeToString())
        assert answer.message is not None
        assert answer.settle is not None
        answer.settle()
        if apply:
            apply_update(container, linux)
        if not answer.message.update:
            assert answer.message.ByteSize() == 0
            return None
        [update] = answer.message.update
        assert update.container_id == container_id, "an update without it is lost in silence"
        if apply:
            apply_update(container, update.linux.resources)
        return update.linux.resources

    def synchronize(self, settle: bool = True) -> dict[str, api.LinuxResources]:
        """Synchronize; container → what our reply sets."""
        message = api.SynchronizeRequest(pods=self.pods.values(), containers=self.containers.values())
        seen = views.SynchronizeRequest.FromString(message.SerializeToString())
        answer = self.handler.synchronize(seen.pods, seen.containers)
        assert isinstance(answer.message, api.SynchronizeResponse)
        if settle:
            assert answer.settle is not None
            answer.settle()
        updates = list(answer.message.update)
        assert len({u.container_id for u in updates}) == len(updates), "one update per container"
        assert all(u.ignore_failure for u in updates), "a failing one must not cost the registration"
        for update in updates:
            apply_update(self.containers[update.container_id], update.linux.resources)
        return {u.container_id: u.linux.resources for u in updates}

    def behind_our_back(self, container_id: str = "c1", **asked: Any) -> None:
        """Somebody updates the container, and we hear nothing of it."""
        apply_update(self.containers[container_id], kubelet(**asked))

    def send(self, method: str, message: Any) -> Any:
        answer = self.handler.handle(method, message.SerializeToString())
        if answer.settle is not None:
            answer.settle()
        return answer


def kubelet(memory: int | None = None, cpus: str = "", **cpu: int) -> api.LinuxResources:
    """Resources as CRI has them: the wrappers are always there, 0 meaning not asked."""
    resources = api.LinuxResources(cpu=api.LinuxCPU(cpus=cpus))
    for name, value in cpu.items():
        getattr(resources.cpu, name).value = value
    if memory is not None:
        resources.memory.limit.value = memory
    return resources


def hook(name: str, order: int, owns: tuple[Any, ...], decide: Callable[[Any], None]) -> Hook:
    return type(name, (Hook,), {"name": name, "order": order, "owns": owns, "decide": lambda self, ctx: decide(ctx)})()


def one_hook(decide: Callable[[Any], None], *owns: Any) -> list[Hook]:
    return [hook("one", 1, owns or (fields.CPU_QUOTA, fields.CPU_CPUS, fields.MEMORY_LIMIT), decide)]


FAST = NodeState(topology=NODE.topology, normalization_ratio=Fraction(2))
ON_V1 = replace(NODE, cgroup_version=1)
