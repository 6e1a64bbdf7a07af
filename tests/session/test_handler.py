"""Requests to replies: create, update, synchronize, with the installed hooks on messages as runtimes send them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from koordnri.chain import Chain, ContainerRefused, Snapshot, load_hooks
from koordnri.hook import Hook
from koordnri.model import Event, NodeState, Pod, Resources, fields
from koordnri.model.allocated import NOT_ALLOCATED
from koordnri.model.annotations import BLKIO_QOS_KEY, RESOURCE_STATUS
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.model.resources import BASELINE_KEY, Note, decode_note, encode_note
from koordnri.model.topology import Topology
from koordnri.policy import DEFAULT_POLICY, Policy
from koordnri.runtime.kernel import Kernel
from koordnri.runtime.oci import apply_adjustment, apply_update
from koordnri.session.decider import Inflight
from koordnri.session.handler import SUBSCRIBED, EventHandler
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.state.ledger import Ledger
from koordnri.wire import api_pb2 as api
from koordnri.wire import views_pb2 as views
from koordnri.wire.services import PLUGIN_METHODS
from koordnri.wire.versions import Version, valid_event_mask
from tests.support import messages
from tests.support.policies import policy_of
from tests.support.waiting import PATIENCE_S

NODE = NodeState(topology=Topology.regular(1, 1, 8, 1), block_devices={"/dev/sda": "8:0"})
PINNED = {RESOURCE_STATUS.key: '{"cpuset": "2-3"}'}
PINS: dict[str, int | str] = {"cpu.cpus": "2-3", "cpu.quota": -1}
"""what PINNED makes of a container, as it is noted"""


ALL_OFF = policy_of(koordnri_config={"hooks": {"cpuset": {"mode": "off"}, "cfs_quota": {"mode": "off"}}})


class Observed:
    """Hears of decisions."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str, Any]] = []

    def decided(self, pod: Any, container: Any, event: Event, decision: Any) -> None:
        self.told.append((event.value, pod.name, container.name, decision))

    def refused(self, pod: Any, container: Any, event: Event, decision: Any) -> None:
        self.told.append(("refused", pod.name, container.name, decision))

    def never_started(self, pod: Any, entry: Any) -> None:
        self.told.append(("never started", pod.name if pod else "", entry.name, None))


class Node:
    """The handler, and what the runtime keeps: pods, and containers with the spec that adjustments and updates made of it."""

    def __init__(
        self,
        under: Policy = DEFAULT_POLICY,
        node: NodeState = NODE,
        hooks: list[Hook] | None = None,
        notes: dict[str, Note] | None = None,
        specs: dict[str, PodSpec] | None = None,
        clock: Callable[[], int] | None = None,
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
        self, under: Policy = DEFAULT_POLICY, notes: dict[str, Note] | None = None, node: NodeState = NODE
    ) -> Node:
        """The daemon anew, on a runtime that has gone on."""
        new = Node(under, node, notes=notes)
        new.pods, new.containers = self.pods, self.containers
        return new

    def pod(self, pod_id: str = "p1", annotations: dict[str, str] | None = None, qos: str = "") -> str:
        parent = f"/kubepods/burstable/poduid-{pod_id}"
        self.pods[pod_id] = messages.pod(pod_id, qos, parent, annotations=annotations)
        return pod_id

    def create(self, pod_id: str, container_id: str = "c1", settle: bool = True, **asked: int) -> Any:
        """CreateContainer; the adjustment, which is in the spec from now on."""
        container = messages.container(container_id, pod_id, name="main")
        container.linux.resources.CopyFrom(kubelet(**{"shares": 512, "quota": 50_000, "period": 100_000, **asked}))
        request = api.CreateContainerRequest(pod=self.pods[pod_id], container=container)
        answer = self.handler.handle("CreateContainer", request.SerializeToString())
        assert answer.message is not None
        if settle and answer.settle is not None:
            answer.settle()
        adjust = answer.message.adjust
        apply_adjustment(container, adjust, Kernel())
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

    def tell(self, method: str, message: Any) -> Any:
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

# -- create -----------------------------------------------------------------------------------------------------------


def test_a_created_container_gets_its_decision_and_its_baseline():
    node = Node()
    adjust = node.create(node.pod(annotations=PINNED))
    assert adjust.linux.resources.cpu.cpus == "2-3"
    assert adjust.linux.resources.cpu.quota.value == -1
    assert decode_note(adjust.annotations[BASELINE_KEY]) == Note(Resources(512, 50_000, 100_000), PINS)
    entry = node.ledger.container("c1")
    assert entry is not None
    assert entry.sent == {"cpu.cpus": ("2-3", "adjust"), "cpu.quota": (-1, "adjust")}
    assert (entry.pod_id, entry.name, entry.baseline) == ("p1", "main", Resources(512, 50_000, 100_000))
    assert node.saved == 0, "the annotation tells the baseline"
    assert [told[:3] for told in node.observed.told] == [("create", "p1", "main")]


def test_a_container_of_which_nothing_is_decided_gets_its_baseline_all_the_same():
    """The policy may change while it lives."""
    adjust = (node := Node()).create(node.pod())
    text = '{"asked":{"shares":512,"quota":50000,"period":100000}}'
    assert adjust == api.ContainerAdjustment(annotations={BASELINE_KEY: text})


def test_only_what_can_change_later_is_noted():
    def decide(ctx: Any) -> None:
        ctx.set(fields.CPU_QUOTA, 7000, "because")
        ctx.set(fields.ENV, "1", "because", key="A")
        ctx.set(fields.OOM_SCORE_ADJ, 5, "because")

    node = Node(hooks=one_hook(decide, fields.CPU_QUOTA, fields.ENV, fields.OOM_SCORE_ADJ))
    note = decode_note(node.create(node.pod()).annotations[BASELINE_KEY])
    assert note.set == {"cpu.quota": 7000}


class Odd:
    """A number of a library of numbers."""

    def __index__(self) -> int:
        return 7000


@pytest.mark.parametrize("value", [Odd(), 7000])
def test_a_number_that_a_hook_gives_in_its_own_way_does_not_break_the_note(value):
    node = Node(hooks=one_hook(lambda ctx: ctx.set(fields.CPU_QUOTA, value, "because"), fields.CPU_QUOTA))
    adjust = node.create(node.pod())
    sent = adjust.linux.resources.cpu.quota.value
    note = decode_note(adjust.annotations[BASELINE_KEY])
    assert note == Note(Resources(512, 50_000, 100_000), {"cpu.quota": sent})


def test_nothing_is_recorded_before_the_reply_is_out():
    node = Node()
    node.create(node.pod(), settle=False)
    assert node.ledger.container("c1") is None
    assert node.observed.told == []


def test_a_container_with_an_empty_linux_part_is_decided():
    node = Node()
    request = api.CreateContainerRequest(
        pod=api.PodSandbox(id="p1", annotations=PINNED), container=api.Container(id="c1")
    )
    answer = node.handler.handle("CreateContainer", request.SerializeToString())
    assert answer.message.adjust.linux.resources.cpu.cpus == "2-3"
    assert answer.message.adjust.annotations[BASELINE_KEY] == '{"asked":{},"set":{"cpu.cpus":"2-3","cpu.quota":-1}}'


def test_an_entirely_empty_request_is_answered():
    answer = Node().handler.handle("CreateContainer", b"")
    assert answer.message.adjust.annotations[BASELINE_KEY] == '{"asked":{}}'


@pytest.mark.parametrize("text", ["{", "[]", '{"cpuset": 5}', '{"cpuset": "50-99"}', '{"cpuset": "a-b"}'])
def test_a_malformed_annotation_costs_its_hook_and_leaves_the_rest(text):
    node = Node()
    blkio = {"blocks": [{"name": "/dev/sda", "type": "device", "ioCfg": {"readBPS": 1048576}}]}
    adjust = node.create(node.pod(annotations={RESOURCE_STATUS.key: text, BLKIO_QOS_KEY: json.dumps(blkio)}, qos="LS"))
    assert adjust.linux.resources.cpu.cpus == ""
    assert adjust.linux.resources.unified["io.max"] == "8:0 rbps=1048576 wbps=max riops=max wiops=max"
    assert BASELINE_KEY in adjust.annotations
    [(_, _, _, decision)] = node.observed.told
    assert {(e.hook, e.fault) for e in decision.errors} == {("cpuset", "pod")}
    assert RESOURCE_STATUS.key in decision.errors[0].message


def test_a_hook_that_must_not_fail_refuses_the_container():
    must = policy_of(koordnri_config={"hooks": {"cpuset": {"failurePolicy": "fail"}}})
    node = Node(must)
    with pytest.raises(ContainerRefused, match="cpuset could not decide"):
        node.create(node.pod(annotations={RESOURCE_STATUS.key: "{"}))
    assert node.ledger.container("c1") is None
    assert [told[0] for told in node.observed.told] == ["refused"]
    assert node.handler.inflight is None, "else the next slow event would be answered with this container's decision"


@pytest.mark.parametrize("value", ["text", 5.5, 2**70, None, object()])
def test_a_value_that_no_message_can_carry_costs_itself_only(value):
    def decide(ctx: Any) -> None:
        ctx.set(fields.CPU_QUOTA, value, "a bug")
        ctx.set(fields.CPU_CPUS, "2-3", "fine")

    node = Node(hooks=one_hook(decide))
    adjust = node.create(node.pod())
    assert adjust.linux.resources.cpu.cpus == "2-3"
    assert not adjust.linux.resources.cpu.HasField("quota")
    assert BASELINE_KEY in adjust.annotations
    entry = node.ledger.container("c1")
    assert entry is not None
    assert set(entry.sent) == {"cpu.cpus"}
    [(_, _, _, decision)] = node.observed.told
    assert [(e.hook, e.fault) for e in decision.errors] == [("one", "bug")]
    assert "cpu.quota = " in decision.errors[0].message


@pytest.mark.parametrize(
    "error", [SystemExit("bye"), GeneratorExit(), RecursionError(), MemoryError(), Exception()], ids=repr
)
def test_whatever_a_hook_raises_costs_its_own_fields(error):
    def decide(ctx: Any) -> None:
        raise error

    node = Node(hooks=[*one_hook(lambda ctx: ctx.set(fields.CPU_CPUS, "2-3", "fine"), fields.CPU_CPUS)])
    node.handler.chain = Chain([*node.handler.chain._hooks, hook("two", 2, (fields.MEMORY_LIMIT,), decide)])
    assert node.create(node.pod()).linux.resources == kubelet(cpus="2-3")
    [(_, _, _, decision)] = node.observed.told
    assert [(e.hook, e.fault) for e in decision.errors] == [("two", "bug")]


@pytest.mark.parametrize("where", ["refused", "hook", "files", "message"])
def test_whatever_ends_a_creation_it_is_not_under_way_any_more(where):
    """Else what narrows the pod's files would wait for ever."""

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    must = policy_of(koordnri_config={"hooks": {"one": {"failurePolicy": "fail"}}})
    node = Node(must, replace(NODE, cgroup_version=1), hooks=one_hook(lambda ctx: None))
    if where == "refused":
        node.handler.chain = Chain(one_hook(lambda ctx: 1 // 0))
    elif where == "hook":
        node.handler.chain = Chain(one_hook(stop))
    elif where == "files":
        node.create(node.pod(), "earlier")
        node.handler.catch_up = stop
    else:
        node.handler.sendable = stop
    with pytest.raises((ContainerRefused, KeyboardInterrupt)):
        node.create(node.pod())
    assert (node.ledger.creating, node.handler.inflight) == ("", None)


def test_a_creation_whose_connection_ended_is_not_under_way_any_more():
    node = Node()
    node.create(node.pod(), settle=False)
    assert node.ledger.creating == "p1"
    node.synchronize()
    assert node.ledger.creating == ""


# -- pods -------------------------------------------------------------------------------------------------------------


def test_a_pod_is_remembered_as_told_with_what_its_spec_says():
    spec = PodSpec({"main": ContainerSpec({"cpu": "1"}, {})})
    node = Node(specs={"uid-p1": spec})
    node.pod(annotations=PINNED)
    answer = node.tell("RunPodSandbox", api.RunPodSandboxRequest(pod=node.pods["p1"]))
    assert answer.message is None
    pod = node.ledger.pod("p1")
    assert pod is not None
    assert (pod.name, pod.annotations, pod.spec) == ("p1", PINNED, spec)


def test_a_pod_is_parsed_once_and_anew_when_its_annotations_are_others():
    node = Node()
    node.create(node.pod(annotations=PINNED))
    first = node.ledger.pod("p1")
    node.create("p1", "c2")
    assert node.ledger.pod("p1") is first
    node.pod(annotations={RESOURCE_STATUS.key: '{"cpuset": "4"}'})
    assert node.create("p1", "c3").linux.resources.cpu.cpus == "4"
    assert node.ledger.pod("p1") is not first


def test_the_end_of_a_pod_and_of_a_container_is_heard():
    node = Node()
    node.create(node.pod("p1"), "c1")
    node.create(node.pod("p2"), "c2")
    node.tell("RemoveContainer", api.RemoveContainerRequest(pod=node.pods["p1"], container=api.Container(id="c1")))
    assert node.ledger.counts() == (2, 1)
    node.tell("RemovePodSandbox", api.RemovePodSandboxRequest(pod=api.PodSandbox(id="p2")))
    assert node.ledger.counts() == (1, 0)


def test_a_container_that_was_created_without_a_quota_is_looked_at_when_it_starts():
    """crun up to 1.21 makes 1 % of a CPU of it. Others have what was sent, and are not looked at."""
    node, looked_at = Node(), []
    node.handler._changed = looked_at.append
    node.create(node.pod("pinned", PINNED), "c1")
    node.create(node.pod("plain"), "c2")
    for container in node.containers.values():
        pod = node.pods[container.pod_sandbox_id]
        node.tell("StartContainer", api.StartContainerRequest(pod=pod, container=container))
    assert looked_at == ["pinned"]


def test_a_container_that_is_removed_without_having_started_is_counted_and_told():
    node = Node()
    node.create(node.pod("p1"), "c1")
    node.create("p1", "c2")
    node.tell("StartContainer", api.StartContainerRequest(pod=node.pods["p1"], container=node.containers["c2"]))
    for gone in ("c1", "c2", "unknown"):
        node.tell("RemoveContainer", api.RemoveContainerRequest(pod=node.pods["p1"], container=api.Container(id=gone)))
    assert node.handler.never_started == 1
    assert [told for told in node.observed.told if told[0] == "never started"] == [
        ("never started", node.ledger.pod("p1").name, node.containers["c1"].name, None)
    ]


@pytest.mark.parametrize(
    ("number", "name", "message", "left"),
    [
        (1, "RunPodSandbox", {"pod": {"id": "new"}}, (2, 1)),
        (3, "RemovePodSandbox", {"pod": {"id": "p1"}}, (0, 0)),
        (11, "RemoveContainer", {"pod": {"id": "p1"}, "container": {"id": "c1"}}, (1, 0)),
        (2, "StopPodSandbox", {"pod": {"id": "p1"}}, (0, 0)),
        (7, "", {"container": {"id": "c1"}}, (1, 1)),
        (0, "", {}, (1, 1)),
        (99, "", {"pod": {"id": "p1"}}, (1, 1)),
        (-1, "", {"pod": {"id": "p1"}}, (1, 1)),
    ],
)
def test_old_runtimes_tell_events_by_number(number, name, message, left):
    node = Node()
    node.create(node.pod())
    answer = node.tell("StateChange", api.StateChangeEvent(event=number, **message))
    assert answer.message is None
    assert answer.event == name
    assert node.ledger.counts() == left


@pytest.mark.parametrize("method", [*sorted(set(PLUGIN_METHODS) - {"Configure", "Synchronize"}), "FromTheFuture"])
def test_every_method_is_answered_ok(method):
    """Unimplemented would fail the pod, or make a runtime funnel all events through StateChange."""
    answer = Node().handler.handle(method, b"")
    assert answer.message is None or answer.message.IsInitialized()


@pytest.mark.parametrize(
    "method",
    ["CreateContainer", "UpdateContainer", "RunPodSandbox", "RemovePodSandbox", "RemoveContainer", "StateChange"],
)
def test_what_cannot_be_decoded_is_said_so(method):
    with pytest.raises(DecodeError):
        Node().handler.handle(method, b"\x0a\xff")


def test_only_events_that_carry_something_are_subscribed_and_every_runtime_knows_them():
    bits = sum(e.bit for e in SUBSCRIBED)
    assert bits
    assert bits & valid_event_mask(Version(0, 2, 0)) == bits


# -- update -----------------------------------------------------------------------------------------------------------


def test_a_resize_of_an_unmanaged_container_is_left_to_kubelet():
    node = Node()
    node.create(node.pod())
    assert node.update(quota=80_000, shares=1024) is None
    assert node.update(memory=1 << 30) is None
    assert node.ledger.noted_baseline("c1") == Resources(1024, 80_000, 100_000, memory_limit=1 << 30)


def test_a_resize_of_a_pinned_container_keeps_it_pinned_and_unthrottled():
    node = Node()
    node.create(node.pod(annotations=PINNED))
    resources = node.update(quota=80_000, shares=819)
    assert resources is not None
    assert (resources.cpu.cpus, resources.cpu.quota.value) == ("2-3", -1)
    assert not resources.cpu.HasField("shares"), "kubelet's own shares arrive by themselves"
    after = node.containers["c1"].linux.resources.cpu
    assert (after.cpus, after.quota.value, after.shares.value) == ("2-3", -1, 819)


def test_a_resize_moves_the_baseline_and_the_state_directory_hears_of_it():
    node = Node()
    node.create(node.pod(annotations=PINNED))
    node.update(quota=80_000)
    assert node.saved == 1
    assert node.ledger.notes() == {"c1": Note(Resources(512, 80_000, 100_000), PINS)}
    node.update(quota=80_000)
    assert node.saved == 1, "it has not moved again"
    node.update(quota=50_000)
    assert node.ledger.notes() == {}, "back where the annotation has it"
    assert node.saved == 2


def test_the_same_update_twice_gives_the_same_reply():
    node = Node(node=FAST)
    node.create(node.pod(qos="LS"), quota=100_000)
    assert node.containers["c1"].linux.resources.cpu.quota.value == 50_000
    replies = [node.update(quota=80_000) for _ in range(4)]
    assert [r is not None and r.cpu.quota.value for r in replies] == [40_000] * 4


def test_a_quota_is_never_scaled_twice():
    """Koordinator starts from the stored quota, which it has scaled before: half of half of half."""
    node = Node(node=FAST)
    node.create(node.pod(qos="LS"), quota=100_000)
    for memory in (1 << 28, 1 << 29, 1 << 30):
        reply = node.update(memory=memory)
        assert reply is not None
        assert reply.cpu.quota.value == 50_000
    restarted = node.restarted(notes=node.ledger.notes(), node=FAST)
    assert restarted.synchronize() == {}
    assert restarted.containers["c1"].linux.resources.cpu.quota.value == 50_000


@given(st.lists(st.sampled_from([0, 20_000, 40_000, 100_000]), min_size=1, max_size=6), st.booleans())
def test_whatever_kubelet_asks_the_container_ends_as_if_created_so(quotas, restart):
    node = Node(node=FAST)
    node.create(node.pod(qos="LS"), quota=100_000)
    last = 100_000
    for quota in quotas:
        node.update(quota=quota)
        last = quota or last
        if restart:
            node = node.restarted(notes=node.ledger.notes(), node=FAST)
            assert node.synchronize() == {}
    assert node.containers["c1"].linux.resources.cpu.quota.value == last // 2


def test_a_feature_that_is_off_gives_back_what_kubelet_asked_for_at_the_next_update_once():
    node = Node()
    node.create(node.pod(annotations=PINNED))
    node.adopt(ALL_OFF)
    reply = node.update(memory=1 << 30)
    assert reply == kubelet(cpus="0-7", quota=50_000)
    assert node.update(memory=1 << 30) is None


def test_an_update_of_a_container_that_was_there_before_us_starts_from_what_is_stored():
    node = Node()
    node.preexisting(node.pod(annotations=PINNED), quota=60_000)
    reply = node.update(memory=1 << 30)
    assert reply is not None
    assert (reply.cpu.cpus, reply.cpu.quota.value) == ("2-3", -1)
    assert node.ledger.noted_baseline("c1") == Resources(512, 60_000, 100_000, memory_limit=1 << 30)


def test_a_late_hook_does_not_undo_what_it_decided_before():
    now = [0]
    slow = hook("slow", 1, (fields.MEMORY_LIMIT,), lambda ctx: now.__setitem__(0, now[0] + hold[0]))
    quota = hook("quota", 2, (fields.CPU_QUOTA,), lambda ctx: ctx.set(fields.CPU_QUOTA, -1, "always"))
    hold = [0]
    node = Node(hooks=[slow, quota], clock=lambda: now[0])
    node.create(node.pod())
    hold[0] = 10**9
    assert node.update(memory=1 << 30) is None
    assert node.handler.overruns == 1
    node.synchronize()
    assert node.containers["c1"].linux.resources.cpu.quota.value == -1


def test_a_baseline_in_the_pods_own_annotations_is_not_believed():
    """A runtime may pass annotations of a pod on to its containers; its owner must not set his own baseline."""
    forged = {BASELINE_KEY: encode_note(Note(Resources(cpu_quota=9_000_000), {"cpu.quota": 50_000}))}
    node = Node(ALL_OFF)
    node.preexisting(node.pod(annotations=forged)).annotations.update(forged)
    assert node.synchronize() == {}
    assert node.update(memory=1 << 30) is None
    assert node.containers["c1"].linux.resources.cpu.quota.value == 50_000


def test_a_pod_that_forges_its_baseline_is_not_scaled_twice_either():
    forged = {BASELINE_KEY: encode_note(Note(Resources(cpu_quota=9_000_000)))}
    node = Node(node=FAST)
    node.create(node.pod(annotations=forged, qos="LS"), quota=100_000)
    for asked in ({"quota": 100_000}, {"quota": 100_000}, {"memory": 1 << 28}, {"memory": 1 << 29}):
        reply = node.update(**asked)
        assert reply is not None
        assert reply.cpu.quota.value == 50_000


# -- synchronize ------------------------------------------------------------------------------------------------------


def test_synchronize_changes_what_differs_and_only_that():
    node = Node()
    node.preexisting(node.pod("p1", PINNED), "pinned")
    node.preexisting(node.pod("p2"), "plain")
    assert node.synchronize() == {"pinned": kubelet(cpus="2-3", quota=-1, period=100_000)}
    assert node.ledger.counts() == (2, 2)
    kept = {"pinned": Note(Resources(512, 50_000, 100_000), PINS)}
    assert node.ledger.notes() == kept, "the only one that we must remember"
    assert node.synchronize() == {}
    assert node.ledger.notes() == kept
    assert {told[0] for told in node.observed.told} == {"sync"}


def test_a_restart_with_the_same_policy_changes_nothing():
    node = Node()
    node.create(node.pod(annotations=PINNED))
    node.update(quota=80_000)
    again = node.restarted(notes=node.ledger.notes())
    assert again.synchronize() == {}
    assert again.saved == 0
    assert again.ledger.notes() == {"c1": Note(Resources(512, 80_000, 100_000), PINS)}, (
        "its annotation still tells the old one"
    )


def test_a_container_that_we_adjusted_is_corrected_when_the_policy_is_another():
    node = Node()
    node.create(node.pod(annotations=PINNED))
    keep = policy_of(koordnri_config={"hooks": {"cpuset": {"keepQuota": True}}})
    assert node.restarted(keep).synchronize() == {"c1": kubelet(quota=50_000)}


def test_a_feature_that_is_off_is_restored_at_synchronize():
    node = Node()
    node.create(node.pod(annotations=PINNED))
    assert node.restarted(ALL_OFF).synchronize() == {"c1": kubelet(cpus="0-7", quota=50_000)}
    assert node.restarted(ALL_OFF).synchronize() == {}


def test_containers_of_unknown_pods_are_left_alone_and_kept_in_mind():
    node = Node(notes={"orphan": Note(Resources(cpu_quota=7))})
    node.preexisting("nobody", "orphan")
    assert node.synchronize() == {}
    assert node.ledger.container("orphan") is None
    assert node.ledger.notes() == {"orphan": Note(Resources(cpu_quota=7))}, "its pod may be told later"


def test_what_is_gone_at_synchronize_is_forgotten():
    node = Node()
    node.create(node.pod("p1", PINNED), "c1")
    node.update("c1", quota=80_000)
    del node.pods["p1"], node.containers["c1"]
    node.synchronize()
    assert node.ledger.counts() == (0, 0)
    assert node.ledger.notes() == {}


def test_one_bad_container_does_not_cost_the_others_their_updates():
    def decide(ctx: Any) -> None:
        ctx.set(fields.CPU_QUOTA, "text" if ctx.pod.id == "p1" else 7000, "because")

    node = Node(hooks=one_hook(decide))
    node.preexisting(node.pod("p1"), "bad")
    node.preexisting(node.pod("p2"), "good")
    assert node.synchronize() == {"good": kubelet(quota=7000)}


def test_after_the_budget_the_rest_of_a_synchronize_is_left_as_it_is():
    now = [0]

    def decide(ctx: Any) -> None:
        now[0] += 400_000_000
        ctx.set(fields.CPU_QUOTA, 7000, "because")

    node = Node(hooks=one_hook(decide), clock=lambda: now[0])
    for i in range(3):
        node.preexisting(node.pod(f"p{i}"), f"c{i}")
    assert set(node.synchronize()) == {"c0", "c1"}, "a budget of 500 ms for all of them together"
    assert node.containers["c2"].linux.resources.cpu.quota.value == 50_000
    assert node.ledger.counts() == (3, 3)


# -- whose a stored value is ------------------------------------------------------------------------------------------


def test_a_resize_while_we_were_away_stays_as_kubelet_asked_for_it():
    node = Node()
    node.create(node.pod())
    node.behind_our_back(quota=80_000, shares=819)
    node = node.restarted()
    assert node.synchronize() == {}
    assert node.ledger.notes() == {"c1": Note(Resources(819, 80_000, 100_000))}
    assert node.saved == 1
    entry = node.ledger.container("c1")
    assert entry is not None
    assert entry.baseline.cpu_quota == 80_000, "what the reconciler starts from, too"
    assert node.update(memory=1 << 30) is None
    again = node.restarted(notes=node.ledger.notes())
    assert again.synchronize() == {}


def test_exclusive_cpus_given_while_we_were_away_stay():
    """The static CPU manager: all CPUs of the node would put the container on top of others' exclusive ones."""
    node = Node()
    node.create(node.pod())
    node.behind_our_back(cpus="2-7")
    node = node.restarted()
    assert node.synchronize() == {}
    assert node.update(memory=1 << 30) is None
    assert node.containers["c1"].linux.resources.cpu.cpus == "2-7"


def test_what_another_plugin_set_is_not_ours_to_undo():
    node = Node(policy_of(koordnri_config={"hooks": {"cpuset": {"mode": "off"}}}))
    node.create(node.pod(annotations=PINNED))
    node.behind_our_back(cpus="4-5")
    assert node.update(memory=1 << 30) is None
    assert node.synchronize() == {}
    node.behind_our_back(cpus="6")
    assert node.update(memory=1 << 29) is None
    assert node.restarted(ALL_OFF, node.ledger.notes()).synchronize() == {}
    assert node.containers["c1"].linux.resources.cpu.cpus == "6"


def test_a_resize_while_we_were_away_is_scaled_once():
    node = Node(node=FAST)
    node.create(node.pod(qos="LS"), quota=100_000)
    node.behind_our_back(quota=160_000)
    for changed in ({"c1": kubelet(quota=80_000)}, {}, {}):
        node = node.restarted(notes=node.ledger.notes(), node=FAST)
        assert node.synchronize() == changed
    assert node.update(memory=1 << 30) == kubelet(quota=80_000)
    off = node.restarted(ALL_OFF, node.ledger.notes())
    assert off.synchronize() == {"c1": kubelet(quota=160_000)}, "back to the newest request"


def test_a_field_that_is_not_ours_stays_beside_one_that_goes_back():
    node = Node()
    node.create(node.pod(annotations=PINNED))
    node.behind_our_back(cpus="4-7")
    assert node.restarted(ALL_OFF).synchronize() == {"c1": kubelet(quota=50_000)}


@pytest.mark.parametrize("sent_by", ["update", "synchronize"])
def test_what_a_reply_set_after_the_creation_is_known_after_a_restart(sent_by):
    node = Node()
    node.create(node.pod(qos="LS"), quota=100_000)
    node.adopt(DEFAULT_POLICY, FAST)
    if sent_by == "update":
        assert node.update(memory=1 << 30) == kubelet(quota=50_000)
    else:
        assert node.synchronize() == {"c1": kubelet(quota=50_000)}
    same = node.restarted(notes=node.ledger.notes(), node=FAST)
    assert same.synchronize() == {}, "its own half is not taken for a new request"
    off = node.restarted(ALL_OFF, node.ledger.notes())
    assert off.synchronize() == {"c1": kubelet(quota=100_000)}
    assert off.synchronize() == {}


def test_what_was_set_at_the_creation_is_known_though_another_value_was_sent_since():
    """The runtime may have refused the later one."""
    node = Node()
    node.create(node.pod(annotations=PINNED))
    node.pod(annotations={RESOURCE_STATUS.key: '{"cpuset": "4"}'})
    assert node.update(apply=False, memory=1 << 30) == kubelet(cpus="4", quota=-1, period=100_000)
    off = node.restarted(ALL_OFF, node.ledger.notes())
    assert off.synchronize() == {"c1": kubelet(cpus="0-7", quota=50_000)}


@pytest.mark.parametrize("told", [True, False], ids=["outcome known", "died meanwhile"])
def test_what_went_by_an_update_of_our_own_is_ours_too(told):
    node = Node(ALL_OFF)
    node.create(node.pod())
    node.ledger.sending("c1", {"cpu.quota": 25_000})
    if told:
        node.ledger.recorded("c1", {"cpu.quota": 25_000})
    node.behind_our_back(quota=25_000)
    assert node.synchronize() == {"c1": kubelet(quota=50_000)}


def test_what_a_late_hook_had_set_is_still_known_after_a_restart():
    now, hold, quota_us = [0], [0], [-1]
    slow = hook("slow", 1, (fields.MEMORY_LIMIT,), lambda ctx: now.__setitem__(0, now[0] + hold[0]))
    quota = hook("quota", 2, (fields.CPU_QUOTA,), lambda ctx: ctx.set(fields.CPU_QUOTA, quota_us[0], "always"))
    node = Node(hooks=[slow, quota], clock=lambda: now[0])
    node.create(node.pod())
    quota_us[0] = 7000
    assert node.update(memory=1 << 29) == kubelet(quota=7000)
    hold[0] = 10**9
    assert node.update(memory=1 << 30) is None, "too late for the hook that owns the quota"
    assert node.restarted(ALL_OFF, node.ledger.notes()).synchronize() == {"c1": kubelet(quota=50_000)}


# -- the budget -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeout_s", "configured_ms", "budget_s"),
    [(2.0, None, 0.5), (8.0, None, 2.0), (2.0, 100, 0.1), (2.0, 900, 0.9), (2.0, 5000, 1.0)],
)
def test_the_budget_is_the_policys_but_never_more_than_half_of_what_the_runtime_waits(
    timeout_s, configured_ms, budget_s
):
    config = {} if configured_ms is None else {"koordnri_config": {"chainBudgetMilliseconds": configured_ms}}
    node = Node(policy_of(**config))
    node.handler.runtime = RuntimeInfo(request_timeout_s=timeout_s)
    assert node.handler.budget_s() == pytest.approx(budget_s)


class Held:
    """An event whose second hook does not return until `let_go`."""

    def __init__(self, act: Callable[[Node], Any], under: Policy = DEFAULT_POLICY) -> None:
        self.let_go, entered = threading.Event(), threading.Event()

        self.asked: list[str] = []

        def block(ctx: Any) -> None:
            self.asked.append(ctx.container.id)
            if ctx.container.id == "held":
                entered.set()
                assert self.let_go.wait(PATIENCE_S)

        hooks = [*one_hook(lambda ctx: ctx.set(fields.CPU_CPUS, "2-3", "first"), fields.CPU_CPUS)]
        hooks += [hook("blocks", 2, (fields.MEMORY_LIMIT,), block)]
        self.node = Node(under, hooks=hooks)
        self._thread = threading.Thread(target=act, args=(self.node,), daemon=True)
        self._thread.start()
        assert entered.wait(PATIENCE_S)

    def finish(self) -> None:
        self.let_go.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


def creating(node: Node) -> None:
    node.create(node.pod(), "held", settle=False)


def test_an_early_answer_carries_what_is_decided_so_far_and_the_baseline():
    held = Held(creating)
    message = held.node.handler.answer_early()
    held.finish()
    assert isinstance(message, api.CreateContainerResponse)
    assert message.adjust.linux.resources == kubelet(cpus="2-3")
    note = decode_note(message.adjust.annotations[BASELINE_KEY])
    assert note == Note(Resources(512, 50_000, 100_000), {"cpu.cpus": "2-3"})
    assert held.node.handler.overruns == 1
    entry = held.node.ledger.container("held")
    assert entry is not None, "else the reconciler would not know it"
    assert entry.sent == {"cpu.cpus": ("2-3", "adjust")}


def test_an_early_answer_to_an_update_takes_nothing_back():
    def updating(node: Node) -> None:
        container = node.preexisting(node.pod(), "held", memory=1 << 30)
        container.annotations[BASELINE_KEY] = encode_note(Note(Resources(512, 50_000, 100_000)))
        node.update("held", apply=False, quota=80_000)

    held = Held(updating)
    message = held.node.handler.answer_early()
    held.finish()
    assert isinstance(message, api.UpdateContainerResponse)
    [update] = message.update
    assert update.container_id == "held"
    assert update.linux.resources == kubelet(cpus="2-3"), "the stuck hook owns memory.limit and has not spoken"
    note = Note(Resources(512, 80_000, 100_000), {"cpu.cpus": "2-3"})
    assert held.node.ledger.notes() == {"held": note}, "else our cpus would be taken for kubelet's later"


def test_an_early_answer_may_refuse():
    held = Held(creating, policy_of(koordnri_config={"hooks": {"blocks": {"failurePolicy": "fail"}}}))
    assert held.node.ledger.creating == "p1"
    try:
        with pytest.raises(ContainerRefused, match="blocks could not decide"):
            held.node.handler.answer_early()
        assert held.node.ledger.creating == "", "else the pod's files would never become narrower"
    finally:
        held.finish()
    assert held.node.ledger.creating == ""


# -- cgroup v1: a pod's files first ------------------------------------------------------------------------------------

ON_V1 = replace(NODE, cgroup_version=1)


def quota_of(policy: Policy) -> list[Hook]:
    """A quota that tells which policy it was decided under."""
    quotas = {policy.revision: 7000}
    return one_hook(lambda ctx: ctx.set(fields.CPU_QUOTA, quotas.get(ctx.policy.revision, 9000), "always"))


def on_v1(**options: Any) -> Node:
    """A node with cgroup v1 whose pod's own cgroup was written before, so that it may be too narrow."""
    node = Node(node=ON_V1, **options)
    node.ledger.remember_pod(Pod("p1", "uid-p1", "default", "p1"))
    node.ledger.intend("p1", {"cpu.quota": 50_000})
    return node


def test_a_creation_that_waits_for_its_pods_files_can_be_answered_for_with_all_that_is_decided():
    node = on_v1(hooks=quota_of(DEFAULT_POLICY))
    waits, let_go = threading.Event(), threading.Event()

    def catch_up(pod: Any, snapshot: Snapshot, timeout_s: float) -> None:
        waits.set()
        assert let_go.wait(PATIENCE_S)

    node.handler.catch_up = catch_up
    held = threading.Thread(target=lambda: node.create(node.pod(), "held", settle=False), daemon=True)
    held.start()
    assert waits.wait(PATIENCE_S)
    node.adopt(ALL_OFF, ON_V1)
    message = node.handler.answer_early()
    let_go.set()
    held.join(PATIENCE_S)
    assert not held.is_alive()
    assert isinstance(message, api.CreateContainerResponse)
    assert message.adjust.linux.resources == kubelet(quota=7000)
    assert BASELINE_KEY in message.adjust.annotations
    entry = node.ledger.container("held")
    assert entry is not None
    assert entry.sent == {"cpu.quota": (7000, "adjust")}
    assert node.ledger.creating == "", "else the pod's files would never become narrower"
    assert node.handler.inflight is None, "who was answered for does not decide again"


def test_a_creation_is_decided_again_when_the_policy_changed_while_it_waited():
    node = on_v1(hooks=quota_of(ALL_OFF))
    seen: list[Snapshot] = []

    def catch_up(pod: Any, snapshot: Snapshot, timeout_s: float) -> None:
        seen.append(snapshot)
        node.adopt(ALL_OFF, ON_V1)

    node.handler.catch_up = catch_up
    assert node.create(node.pod()).linux.resources == kubelet(quota=7000), "changed twice: no third time"
    assert len(seen) == 2
    entry = node.ledger.container("c1")
    assert entry is not None
    assert entry.under is seen[1]


def test_all_the_waiting_of_a_creation_takes_half_of_the_budget_at_most():
    now = [0]
    node = on_v1(hooks=quota_of(DEFAULT_POLICY), clock=lambda: now[0])
    given: list[float] = []

    def catch_up(pod: Any, snapshot: Snapshot, timeout_s: float) -> None:
        given.append(timeout_s)
        now[0] += int(timeout_s * 1e9 * 0.75)
        node.adopt(ALL_OFF, ON_V1)

    node.handler.catch_up = catch_up
    node.create(node.pod())
    assert given == [pytest.approx(0.25), pytest.approx(0.0625)]


@pytest.mark.parametrize(
    ("asked", "decided", "waits"),
    [(0, 7000, False), (8000, 7000, False), (6000, 7000, True), (6000, -1, False)],
    ids=["no limit of kubelet's", "below kubelet's", "above kubelet's", "none"],
)
def test_a_pods_first_container_waits_only_for_more_than_kubelet_gave_the_pod(asked: int, decided: int, waits: bool):
    waited: list[float] = []
    node = Node(node=ON_V1, hooks=one_hook(lambda ctx: ctx.set(fields.CPU_QUOTA, decided, "always")))
    node.handler.catch_up = lambda pod, snapshot, timeout_s: waited.append(timeout_s)
    node.create(node.pod(), quota=asked)
    assert bool(waited) is waits


def test_a_pods_second_container_waits():
    waited: list[float] = []
    node = Node(node=ON_V1, hooks=quota_of(DEFAULT_POLICY))
    node.create(node.pod(), "first")
    node.handler.catch_up = lambda pod, snapshot, timeout_s: waited.append(timeout_s)
    node.create(node.pod(), "second")
    assert len(waited) == 1


def test_on_cgroup_v2_no_creation_waits_for_its_pods_files():
    node = Node(node=replace(NODE, cgroup_version=2), hooks=quota_of(DEFAULT_POLICY))
    node.handler.catch_up = lambda *_: pytest.fail("waits")
    assert node.create(node.pod()).linux.resources == kubelet(quota=7000)


def test_when_nothing_is_in_flight_there_is_nothing_to_answer():
    node = Node()
    node.create(node.pod())
    assert node.handler.answer_early() is None
    assert node.handler.overruns == 0


def test_a_thread_that_was_held_does_not_clear_what_another_one_decides_by_now():
    held = Held(creating)
    mine = held.node.handler.inflight
    assert mine is not None
    held.node.handler.answer_early()
    other = held.node.handler.inflight = Inflight(*mine)
    held.finish()
    assert held.node.handler.inflight is other


def test_a_synchronize_that_was_answered_for_stops_deciding():
    def synchronizing(node: Node) -> None:
        node.preexisting(node.pod(), "before")
        node.preexisting("p1", "held")
        node.preexisting("p1", "next")
        node.synchronize(settle=False)

    held = Held(synchronizing)
    message = held.node.handler.answer_early()
    held.node.create("p1", "c9")
    held.finish()
    assert "next" not in held.asked
    assert {e.id for e in held.node.ledger.entries()} == {"before", "c9"}, (
        "what was sent, and what was created meanwhile"
    )
    assert [u.container_id for u in message.update] == ["before"]
    assert held.node.ledger.notes() == {"before": Note(Resources(512, 50_000, 100_000), {"cpu.cpus": "2-3"})}


def test_a_resize_is_not_taken_the_place_of_by_what_is_only_written_into_files():
    """An update of ours that says nothing would be all that containerd applies (koordinator 3129)."""
    on_v1 = NodeState(cgroup_version=1, cgroup_files=frozenset({"cpu/cpu.cfs_burst_us"}))
    node = Node(policy_of(cpu_burst_config={"clusterStrategy": {"policy": "auto"}}), on_v1)
    node.create(node.pod(qos="LS"))
    assert node.update(quota=20_000) is None


def test_what_takes_the_budget_before_the_chain_is_an_overrun_too():
    """The chain's own time was all that counted: creations that chose CPUs for a second were no overruns."""
    now = [0]

    class Slow:
        """Whoever gives CPUs, and takes 2 s for it."""

        late = 0

        def give(self, pod, container):
            now[0] += 2_000_000_000
            return NOT_ALLOCATED

        def gave(self, pod, container_id):
            pass

    node = Node(clock=lambda: now[0])
    node.handler.cpus = Slow()
    node.create(node.pod())
    assert node.handler.overruns == 1
