"""Quota burst over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koordnri.control.quota_burst import QUIET_S, Move, QuotaBurst, move_of, next_quota_us
from koordnri.control.share_pool import NodeLoad
from koordnri.model import NodeState
from koordnri.policy import Policy
from koordnri.policy.burst import CPUBurst
from tests.control.signals import container, of_pod, signals
from tests.examples import examples
from tests.support.pods import pod
from tests.support.policies import policy_of

CPUS = 20
NODE = NodeState()
LIMIT_MILLI, BASE_US = 2000, 200_000
IDLE, OVERLOAD = 2.0, 15.0
"""Used cores of the whole node."""
ANNOTATION = "koordinator.sh/cpuBurst"


def policy(kind: str = "auto", mode: str = "enforce", **more: Any) -> Policy:
    return policy_of(
        cpu_burst_config={"clusterStrategy": {"policy": kind, **more}},
        koordnri_config={"controllers": {"quotaBurst": {"mode": mode}}},
    )


AUTO = policy()


class Node:
    """A node with one container of a limit of 2 CPUs, tick by tick."""

    def __init__(self, policy: Policy = AUTO, qos: str = "LS", filled: float = 1.0, annotation: str = "") -> None:
        self.controller = QuotaBurst(lambda: filled)
        self.policy = policy
        self.pod = pod(qos, annotations={ANNOTATION: annotation} if annotation else {})
        self.limit_milli: int | None = LIMIT_MILLI
        self.now_s = 0.0

    def tick(self, throttled: float | None = 0.0, cores: float | None = 1.0, node: float | None = IDLE) -> int | None:
        """The quota that is wanted, µs."""
        self.now_s += 1
        one = container(self.limit_milli, throttled, cores)
        return self.step(signals(of_pod(self.pod, cores, one), cpus=CPUS, node=node, at_s=self.now_s)).get("c-main")

    def step(self, measured: Any) -> Mapping[str, int]:
        wanted = self.controller.step(measured, self.policy, NODE)
        return {id: one.value for id, one in wanted.items()}

    def raised(self) -> Node:
        """Brought to 400 000 µs or a little more."""
        while (self.tick(throttled=0.5, cores=2.0) or 0) < 400_000:
            pass
        return self


@pytest.mark.parametrize(
    ("throttled", "allowed", "load", "before_us", "after_us"),
    [
        pytest.param(True, True, NodeLoad.IDLE, 200_000, 240_000, id="v41"),
        pytest.param(True, True, NodeLoad.IDLE, 590_000, 600_000, id="v42: up to cfsQuotaBurstPercent"),
        pytest.param(True, True, NodeLoad.COOLING, 400_000, 400_000, id="v44"),
        pytest.param(True, True, NodeLoad.OVERLOAD, 400_000, 320_000, id="v45"),
        pytest.param(False, False, NodeLoad.IDLE, 400_000, 320_000, id="v46"),
        pytest.param(True, True, NodeLoad.UNKNOWN, 400_000, 400_000, id="unknown is like cooling"),
        pytest.param(False, True, NodeLoad.IDLE, 400_000, 400_000, id="not throttled"),
        pytest.param(False, True, NodeLoad.OVERLOAD, 400_000, 320_000, id="not throttled on an overloaded node"),
        pytest.param(True, False, NodeLoad.IDLE, 210_000, 200_000, id="down to the limit"),
    ],
)
def test_v41_to_v46_where_a_quota_moves(
    throttled: bool, allowed: bool, load: NodeLoad, before_us: int, after_us: int
) -> None:
    assert next_quota_us(move_of(throttled, allowed, load), before_us, BASE_US, CPUBurst()) == after_us


def test_v43_a_percent_below_100_gives_no_more_than_the_limit() -> None:
    assert next_quota_us(Move.UP, 400_000, BASE_US, CPUBurst(cfs_quota_burst_percent=90)) == BASE_US


@pytest.mark.parametrize("off", [policy("cpuBurstOnly"), policy("none"), policy(mode="off")])
def test_v43_a_policy_without_quota_burst_gives_the_limit_at_once_and_begins_afresh(off: Policy) -> None:
    node = Node().raised()
    node.policy = off
    assert node.tick(throttled=0.5) is None
    node.policy = AUTO
    assert node.tick(throttled=0.5) == 240_000


def test_v46_a_period_of_zero_never_lets_a_container_burst() -> None:
    assert Node(policy(cfsQuotaBurstPeriodSeconds=0)).tick(throttled=0.5) is None


def test_a_container_that_has_its_limit_wants_nothing() -> None:
    node = Node()
    assert node.tick(throttled=0.0) is None
    assert node.tick(throttled=None, cores=None) is None


def test_a_throttled_container_gets_more_tick_by_tick_up_to_the_ceiling() -> None:
    node = Node()
    got = [node.tick(throttled=0.5, cores=2.0) for _ in range(8)]
    assert got == [240_000, 288_000, 345_600, 414_720, 497_664, 597_196, 600_000, 600_000]


def test_a_quota_grows_by_at_most_a_tenth_of_the_node_per_tick() -> None:
    node = Node()
    node.limit_milli = 16_000
    assert [node.tick(throttled=0.5, cores=16) for _ in range(2)] == [1_800_000, 2_000_000]


def test_a_quiet_container_gives_back_what_it_got() -> None:
    node = Node().raised()
    busy_s = node.now_s
    kept = []
    while (quota_us := node.tick(cores=0.5)) is not None:
        kept.append((node.now_s - busy_s, quota_us))
    assert all(quota_us == kept[0][1] for quiet_s, quota_us in kept if quiet_s < QUIET_S)
    assert node.now_s - busy_s == QUIET_S + 3  # 414 720 × 0.8³ is the limit, or less


@pytest.mark.parametrize(("throttled", "cores"), [(0.1, 1.0), (0.0, 2.0), (0.0, None)])
def test_a_container_that_may_still_need_it_is_not_quiet(throttled: float, cores: float | None) -> None:
    node = Node(policy(cfsQuotaBurstPercent=150))
    node.tick(throttled=0.5)
    for _ in range(int(QUIET_S) * 3):
        wanted = node.tick(throttled, cores)
    assert wanted is not None


def test_an_overloaded_node_takes_back() -> None:
    node = Node().raised()
    got = [node.tick(throttled=0.5, cores=2.0, node=CPUS) for _ in range(9)]
    assert got[-1] is None


def test_the_limiter_ends_a_burst_after_its_period() -> None:
    """Full: 10 s at 300 %. It saves again while the container uses little."""
    node = Node(policy(cfsQuotaBurstPeriodSeconds=10), filled=0.99)
    for _ in range(20):
        last = node.tick(throttled=0.5, cores=6.0)
    assert last is None
    for _ in range(60):
        node.tick(cores=0.2)
    assert node.tick(throttled=0.5, cores=1.4) == 240_000


def test_a_changed_period_begins_with_a_new_bucket() -> None:
    node = Node(policy(cfsQuotaBurstPeriodSeconds=0))
    node.tick(throttled=0.5)
    node.policy = policy(cfsQuotaBurstPeriodSeconds=100)
    assert node.tick(throttled=0.5) == 240_000
    node.policy = AUTO
    assert node.tick(throttled=0.5) == 288_000


@pytest.mark.parametrize("qos", ["LSE", "LSR", "BE"])
def test_classes_with_exclusive_cpus_and_batch_have_no_quota_burst(qos: str) -> None:
    assert Node(qos=qos).tick(throttled=0.5) is None


@pytest.mark.parametrize("qos", ["LS", "SYSTEM", ""])
def test_all_others_have_it(qos: str) -> None:
    assert Node(qos=qos).tick(throttled=0.5) == 240_000


@pytest.mark.parametrize(
    ("strategy", "annotation", "quota_us"),
    [
        ("auto", '{"policy": "none"}', None),
        ("none", '{"policy": "auto"}', 240_000),
        ("none", '{"policy": "cfsQuotaBurstOnly"}', 240_000),
        ("auto", '{"cfsQuotaBurstPercent": 110}', 220_000),
        ("auto", '{"cfsQuotaBurstPercent": 90}', 240_000),
        ("auto", "{", 240_000),
        ("none", "{", None),
    ],
)
def test_a_pods_annotation_goes_over_the_nodes_value_if_it_can_be_read(
    strategy: str, annotation: str, quota_us: int | None
) -> None:
    assert Node(policy(strategy), annotation=annotation).tick(throttled=0.5) == quota_us


@pytest.mark.parametrize(
    ("config", "released"), [({"namespacesLeftAlone": ["shop"]}, frozenset()), ({}, frozenset({"web"}))]
)
def test_pods_that_are_left_alone_have_none(config: dict[str, Any], released: frozenset[str]) -> None:
    left = policy_of(cpu_burst_config={"clusterStrategy": {"policy": "auto"}}, koordnri_config=config)
    measured = signals(of_pod(pod("LS"), 2, container(LIMIT_MILLI, 0.5, 2.0)), at_s=1)
    assert QuotaBurst(lambda: 0.5).step(measured, left, NodeState(released=released)) == {}


def test_a_container_without_limit_has_none() -> None:
    node = Node()
    node.limit_milli = None
    assert node.tick(throttled=0.5) is None


def test_a_resized_container_begins_at_its_new_limit() -> None:
    node = Node().raised()
    node.limit_milli = 1000
    assert node.tick() is None
    assert node.tick(throttled=0.5) == 120_000


def test_containers_that_have_gone_are_forgotten() -> None:
    controller = QuotaBurst(lambda: 0.5)
    for tick in range(50):
        one = container(LIMIT_MILLI, 0.5, 2.0, name=f"n{tick}")
        assert len(controller.step(signals(of_pod(pod("LS"), 2, one), node=2, at_s=tick), AUTO, NODE)) == 1
    assert len(controller._containers) == 1
    assert controller.step(signals(node=2, at_s=51), AUTO, NODE) == {}
    assert not controller._containers


def test_the_reason_stays_while_the_quota_moves() -> None:
    controller = QuotaBurst(lambda: 0.5)
    reasons = set()
    for tick in range(5):
        one = container(LIMIT_MILLI, 0.5, 2.0)
        [wanted] = controller.step(signals(of_pod(pod("LS"), 2, one), node=2, at_s=tick), AUTO, NODE).values()
        reasons.add(wanted.reason)
    assert len(reasons) == 1


@settings(max_examples=examples(100), deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 8), st.floats(0, CPUS)), max_size=60),
    st.integers(100, 1000),
    st.sampled_from([-1, 0, 5, 100]),
)
def test_a_quota_stays_between_the_limit_and_the_ceiling(
    ticks: list[tuple[float, float, float]], percent: int, period_s: int
) -> None:
    node = Node(policy(cfsQuotaBurstPercent=percent, cfsQuotaBurstPeriodSeconds=period_s))
    for throttled, cores, used in ticks:
        wanted = node.tick(throttled, cores, used)
        assert wanted is None or BASE_US < wanted <= BASE_US * percent // 100
