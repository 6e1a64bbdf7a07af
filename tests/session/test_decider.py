"""Deciding while the runtime waits: the budget, and answers by another thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from koordnri.chain import ContainerRefused, Snapshot
from koordnri.hook import Hook
from koordnri.model import NodeState, Pod, Resources, fields
from koordnri.model.allocated import NOT_ALLOCATED
from koordnri.model.resources import BASELINE_KEY, Note, decode_note, encode_note
from koordnri.policy import Policy
from koordnri.session.decider import Inflight
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.wire import api_pb2 as api
from tests.session.one_node import ALL_OFF, BELIEVING, NODE, ON_V1, Node, hook, kubelet, one_hook
from tests.support.policies import policy_of
from tests.support.waiting import PATIENCE_S


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

    def __init__(self, act: Callable[[Node], Any], under: Policy = BELIEVING) -> None:
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


def quota_of(policy: Policy) -> list[Hook]:
    """A quota that shows which policy it was decided under."""
    quotas = {policy.revision: 7000}
    return one_hook(lambda ctx: ctx.set(fields.CPU_QUOTA, quotas.get(ctx.policy.revision, 9000), "always"))


def on_v1(**options: Any) -> Node:
    """A node with cgroup v1 whose pod's own cgroup was written before, so that it may be too narrow."""
    node = Node(node=ON_V1, **options)
    node.ledger.remember_pod(Pod("p1", "uid-p1", "default", "p1"))
    node.ledger.intend("p1", {"cpu.quota": 50_000})
    return node


def test_a_creation_that_waits_for_its_pods_files_can_be_answered_for_with_all_that_is_decided():
    node = on_v1(hooks=quota_of(BELIEVING))
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
    node = on_v1(hooks=quota_of(BELIEVING), clock=lambda: now[0])
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
    node = Node(node=ON_V1, hooks=quota_of(BELIEVING))
    node.create(node.pod(), "first")
    node.handler.catch_up = lambda pod, snapshot, timeout_s: waited.append(timeout_s)
    node.create(node.pod(), "second")
    assert len(waited) == 1


def test_on_cgroup_v2_no_creation_waits_for_its_pods_files():
    node = Node(node=replace(NODE, cgroup_version=2), hooks=quota_of(BELIEVING))
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

    node = Node(clock=lambda: now[0], cpus=Slow())
    node.create(node.pod())
    assert node.handler.overruns == 1
