"""CPU suppress over time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koordnri.control.signals import PodSignals
from koordnri.control.suppress import HOLD_S, CPUSuppress, next_count, next_quota_us
from koordnri.model import CPUSet, NodeState
from koordnri.model.topology import Topology
from koordnri.policy import Policy
from tests.control.signals import of_pod, service, signals
from tests.examples import examples
from tests.support.pods import pod
from tests.support.policies import policy_of

CPUS = 20
NODE = NodeState(topology=Topology.regular(2, 1, 5, 2))


def policy(kind: str = "cpuset", percent: int = 70, mode: str = "enforce", **more: Any) -> Policy:
    strategy = {"enable": True, "cpuSuppressThresholdPercent": percent, "cpuSuppressPolicy": kind, **more}
    return policy_of(
        resource_threshold_config={"clusterStrategy": strategy},
        koordnri_config={"controllers": {"cpuSuppress": {"mode": mode}}},
    )


CPUSET, QUOTA = policy(), policy("cfsQuota")


class Node:
    """A node whose services use so much, tick by tick."""

    def __init__(self, policy: Policy = CPUSET, node: NodeState = NODE) -> None:
        self.controller = CPUSuppress()
        self.policy, self.node = policy, node
        self.now_s = 0.0
        self.ceiling_milli: int | None = None

    def tick(self, services: float | None, *pods: PodSignals, cpus: int = CPUS) -> Any:
        """What is wanted after a second in which services used so many CPUs."""
        self.now_s += 1
        at = signals(service(services), *pods, cpus=cpus, node=services, at_s=self.now_s)
        be_cpus, be_quota_us = self.controller.step(at, self.policy, self.node, self.ceiling_milli)
        assert be_cpus is None or be_quota_us is None
        wanted = be_cpus or be_quota_us
        return None if wanted is None else wanted.value

    def settle(self, services: float, ticks: int = 20) -> Any:
        """What is wanted after so many of them."""
        return [self.tick(services) for _ in range(ticks)][-1]


@pytest.mark.parametrize("policy", [CPUSET, QUOTA])
def test_what_it_wanted_stays_while_the_nodes_cpus_are_unknown(policy: Policy) -> None:
    assert Node(policy).tick(1.0, cpus=0) is None
    it = Node(policy)
    wanted = it.settle(6.0)
    assert wanted is not None
    it.node = NodeState()
    assert it.tick(6.0, cpus=0) == wanted


@pytest.mark.parametrize(
    ("have_cpus", "wanted_cpus"),
    [(10, 18), (19, 20), (24, 20), (-0.00001, 20)],
)
def test_v55_a_quota_grows_by_a_tenth_of_the_node_per_tick_and_shrinks_at_once(
    have_cpus: float, wanted_cpus: int
) -> None:
    assert next_quota_us(20_000, 20_000, int(have_cpus * 100_000), 80) == wanted_cpus * 100_000


@pytest.mark.parametrize(
    ("milli", "have_us", "quota_us"),
    [
        pytest.param(20_500, 2_000_000, 2_000_000, id="v56: less than a hundredth of the node"),
        pytest.param(20_900, 2_000_000, 2_090_000, id="more than that"),
        pytest.param(0, 50_000, 2000, id="the least quota is always written"),
        pytest.param(0, -1, 2000, id="the least quota at first"),
    ],
)
def test_v56_small_changes_of_a_quota_are_not_made(milli: int, have_us: int, quota_us: int) -> None:
    assert next_quota_us(milli, milli, have_us, 80) == quota_us


@pytest.mark.parametrize(
    ("budget", "held", "have", "count"),
    [
        (4000, 4000, 20, 4),
        (4001, 4001, 20, 5),
        (0, 0, 20, 2),
        (4400, 4400, 4, 4),
        (2501, 2501, 4, 4),
        (2500, 2500, 4, 3),
        (4501, 4501, 4, 5),
        (14_000, 14_000, 4, 6),
        (14_000, 4000, 4, 4),
        (14_000, 5200, 4, 6),
    ],
)
def test_a_number_of_cpus_stays_within_the_dead_band(budget: int, held: int, have: int, count: int) -> None:
    assert next_count(budget, held, have, CPUS) == count


def test_a_service_that_wakes_takes_its_cpus_at_the_next_tick() -> None:
    node = Node()
    assert len(node.settle(0)) == 14
    assert len(node.tick(12)) == 2
    assert len(node.tick(12)) == 2


def test_batch_is_freed_again_when_the_service_sleeps() -> None:
    node = Node(policy(percent=100))
    assert node.settle(0) is None
    assert len(node.tick(12)) == 8
    got = [node.tick(0) for _ in range(9)]
    assert [CPUS if cpus is None else len(cpus) for cpus in got] == [8, 8, 10, 12, 14, 16, 18, 20, 20]


def test_a_quota_follows_services_likewise() -> None:
    node = Node(QUOTA)
    assert node.tick(4) == 1_000_000
    assert node.tick(12) == 200_000
    assert [node.tick(4) for _ in range(4)] == [200_000, 200_000, 400_000, 600_000]


def test_growth_waits_until_usage_has_been_low_for_a_while() -> None:
    node = Node()
    node.settle(10)
    busy_every = int(HOLD_S) + 1
    wanted = {str(node.tick(10 if tick % busy_every == 0 else 4)) for tick in range(30)}
    assert len(wanted) == 1


def test_small_moves_of_usage_change_nothing() -> None:
    node = Node()
    first = node.settle(8)
    assert {str(node.tick(8 + move)) for move in (0.4, -0.4, 0.5, 0.1, -0.3, -0.4, 0.2, 0.4)} == {str(first)}


def test_what_is_wanted_stays_equal_while_only_figures_move() -> None:
    controller = CPUSuppress()
    first = controller.step(signals(service(8), node=8, at_s=1), CPUSET, NODE)
    assert controller.step(signals(service(8.3), node=8.3, at_s=2), CPUSET, NODE) == first


def test_cpus_stay_when_better_ones_become_free() -> None:
    node = Node()
    node.node = NodeState(topology=NODE.topology, exclusive_cpus={"uid-lse": {"main": CPUSet((0, 10))}})
    before = node.tick(10)
    assert not before & CPUSet((0, 10))
    node.node = NODE
    assert node.tick(10) == before


def test_while_usage_is_unknown_everything_stays() -> None:
    node = Node()
    before = node.settle(10)
    assert node.tick(None) == before


@pytest.mark.parametrize(
    "other", [policy(enable=False), policy(mode="off"), Policy()], ids=["not enabled", "off", "no policy"]
)
@pytest.mark.parametrize("first", [CPUSET, QUOTA], ids=["cpuset", "cfsQuota"])
def test_turned_off_it_gives_back_at_once_and_begins_afresh(first: Policy, other: Policy) -> None:
    node = Node(first)
    before = node.tick(10)
    node.policy = other
    assert node.tick(10) is None
    node.policy = first
    assert node.tick(10) == before


def test_the_policy_that_is_not_in_use_is_given_back() -> None:
    node = Node(CPUSET)
    assert isinstance(node.tick(10), CPUSet)
    node.policy = QUOTA
    assert node.tick(10) == 400_000
    node.policy = CPUSET
    assert isinstance(node.tick(10), CPUSet)


def test_in_observe_mode_it_says_what_it_would_do() -> None:
    assert len(Node(policy(mode="observe")).tick(10)) == 4


def test_without_a_topology_no_cpus_are_chosen() -> None:
    assert Node(CPUSET, NodeState()).tick(10) is None


LSE, LSR = (of_pod(pod(qos, name=qos.lower())) for qos in ("LSE", "LSR"))


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.tuples(st.floats(0, CPUS), st.sets(st.integers(0, CPUS - 1)), st.sets(st.integers(0, CPUS - 1)))))
def test_never_an_exclusive_cpu_never_fewer_than_two(
    ticks: list[tuple[float, set[int], set[int]]],
) -> None:
    node = Node()
    for services, lse, lsr in ticks:
        exclusive = {"uid-lse": {"main": CPUSet(lse)}, "uid-lsr": {"main": CPUSet(lsr - lse)}}
        node.node = NodeState(topology=NODE.topology, exclusive_cpus=exclusive)
        wanted = node.tick(services, LSE, LSR)
        if wanted is not None:
            assert not wanted & CPUSet(lse)
            assert len(wanted) >= 2


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.floats(0, CPUS), min_size=2))
def test_only_as_many_cpus_move_as_the_number_changes(usage: list[float]) -> None:
    node = Node()
    before = None
    everything = CPUSet(range(CPUS))
    for services in usage:
        wanted = node.tick(services)
        now, was = wanted or everything, before or everything
        assert now <= was or was <= now
        assert len(now) - len(was) <= CPUS // 10
        before = wanted


def test_a_ceiling_bounds_the_budget_while_it_holds():
    controller, node = CPUSuppress(), NODE
    quiet = {second: signals(service(0.0), cpus=CPUS, node=0.0, at_s=float(second)) for second in range(30)}
    wanted = [controller.step(quiet[second], QUOTA, node, ceiling_milli=3000)[1] for second in range(5)]
    assert wanted[-1] is not None
    assert wanted[-1].value == 300_000
    [controller.step(quiet[second], QUOTA, node) for second in range(5, 30)]
    later = controller.step(quiet[29], QUOTA, node)[1]
    assert later is not None
    assert later.value > 1_000_000


def test_a_ceiling_leaves_best_effort_work_what_the_policy_leaves_it_at_least() -> None:
    it = Node(policy(cpuSuppressMinPercent=50))
    it.ceiling_milli = 100
    assert len(it.settle(1.0)) == CPUS // 2
