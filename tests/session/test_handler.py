"""Requests to replies: create, update, synchronize, with the installed hooks on messages as runtimes send them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.message import DecodeError

from koordnri.chain import Chain, ContainerRefused
from koordnri.model import Resources, fields
from koordnri.model.annotations import BLKIO_QOS_KEY, RESOURCE_STATUS
from koordnri.model.resources import BASELINE_KEY, Note, decode_note
from koordnri.session.handler import SUBSCRIBED
from koordnri.wire import api_pb2 as api
from koordnri.wire.services import PLUGIN_METHODS
from koordnri.wire.versions import Version, valid_event_mask
from tests.session.one_node import ALL_OFF, FAST, NODE, PINNED, PINS, Node, hook, kubelet, one_hook
from tests.support.policies import policy_of

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
    assert node.saved == 0, "the annotation has the baseline"
    assert [reported[:3] for reported in node.observed.reported] == [("create", "p1", "main")]


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
    assert node.observed.reported == []


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
    [(_, _, _, decision)] = node.observed.reported
    assert {(e.hook, e.fault) for e in decision.errors} == {("cpuset", "pod")}
    assert RESOURCE_STATUS.key in decision.errors[0].message


def test_a_hook_that_must_not_fail_refuses_the_container():
    must = policy_of(koordnri_config={"hooks": {"cpuset": {"failurePolicy": "fail"}}})
    node = Node(must)
    with pytest.raises(ContainerRefused, match="cpuset could not decide"):
        node.create(node.pod(annotations={RESOURCE_STATUS.key: "{"}))
    assert node.ledger.container("c1") is None
    assert [reported[0] for reported in node.observed.reported] == ["refused"]
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
    [(_, _, _, decision)] = node.observed.reported
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
    [(_, _, _, decision)] = node.observed.reported
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


def test_the_end_of_a_pod_and_of_a_container_is_heard():
    node = Node()
    node.create(node.pod("p1"), "c1")
    node.create(node.pod("p2"), "c2")
    node.send("RemoveContainer", api.RemoveContainerRequest(pod=node.pods["p1"], container=api.Container(id="c1")))
    assert node.ledger.counts() == (2, 1)
    node.send("RemovePodSandbox", api.RemovePodSandboxRequest(pod=api.PodSandbox(id="p2")))
    assert node.ledger.counts() == (1, 0)


def test_a_container_that_was_created_without_a_quota_is_looked_at_when_it_starts():
    """crun up to 1.21 makes 1 % of a CPU of it. Others have what was sent, and are not looked at."""
    node, looked_at = Node(), []
    node.handler.life._changed = looked_at.append
    node.create(node.pod("pinned", PINNED), "c1")
    node.create(node.pod("plain"), "c2")
    for container in node.containers.values():
        pod = node.pods[container.pod_sandbox_id]
        node.send("StartContainer", api.StartContainerRequest(pod=pod, container=container))
    assert looked_at == ["pinned"]


def test_a_container_that_is_removed_without_having_started_is_counted_and_reported():
    node = Node()
    node.create(node.pod("p1"), "c1")
    node.create("p1", "c2")
    node.send("StartContainer", api.StartContainerRequest(pod=node.pods["p1"], container=node.containers["c2"]))
    for gone in ("c1", "c2", "unknown"):
        node.send("RemoveContainer", api.RemoveContainerRequest(pod=node.pods["p1"], container=api.Container(id=gone)))
    assert node.handler.life.never_started == 1
    assert [reported for reported in node.observed.reported if reported[0] == "never started"] == [
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
def test_old_runtimes_report_events_by_number(number, name, message, left):
    node = Node()
    node.create(node.pod())
    answer = node.send("StateChange", api.StateChangeEvent(event=number, **message))
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
def test_what_cannot_be_decoded_is_reported(method):
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


def test_a_feature_that_is_off_gives_back_what_kubelet_asked_for_at_the_next_update_once():
    node = Node()
    node.create(node.pod(annotations=PINNED))
    node.adopt(ALL_OFF)
    reply = node.update(memory=1 << 30)
    assert reply == kubelet(cpus="0-7", quota=50_000)
    assert node.update(memory=1 << 30) is None


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


# -- synchronize ------------------------------------------------------------------------------------------------------


# -- whose a stored value is ------------------------------------------------------------------------------------------


# -- the budget -------------------------------------------------------------------------------------------------------


# -- cgroup v1: a pod's files first ------------------------------------------------------------------------------------


def test_the_oom_score_that_kubelet_asked_for_is_noted_if_we_set_another_one():
    policy = policy_of(koordnri_config={"hooks": {"memory": {"oomScoreAdj": {"ls": -5}}}})
    node = Node(policy)
    adjust = node.create(node.pod(qos="LS"), oom_score_adj=985)
    assert adjust.linux.oom_score_adj.value == -5
    assert node.ledger.originals("c1") == {"oom_score_adj": 985}
    assert node.saved == 1
    other = Node()
    other.create(other.pod(qos="LS"), oom_score_adj=985)
    assert (other.ledger.originals("c1"), other.saved) == ({}, 0)


EXPOSED = policy_of(koordnri_config={"hooks": {"cpuset": {"expose": "file"}}})


def test_the_file_of_exclusive_cpus_is_made_before_the_runtime_mounts_it():
    made = []
    node = Node(EXPOSED)
    node.handler._expose = lambda container_id, cpus: made.append((container_id, cpus))
    adjust = node.create(node.pod(annotations=PINNED, qos="LSR"))
    assert made == [("c1", "2-3")]
    assert [m.destination for m in adjust.mounts] == ["/run/koordnri"]


def test_a_file_that_cannot_be_made_is_not_mounted_and_costs_nothing_else():
    def full(container_id, cpus):
        raise OSError(28, "No space left on device")

    node = Node(EXPOSED)
    node.handler._expose = full
    adjust = node.create(node.pod(annotations=PINNED, qos="LSR"))
    assert (len(adjust.mounts), adjust.linux.resources.cpu.cpus) == (0, "2-3")
    [(*_, decision)] = node.observed.reported
    assert [(e.fault, e.message[:40]) for e in decision.errors] == [
        ("node", "file of exclusive CPUs: [Errno 28] No sp")
    ]
