"""Pods that are created one after the other without a daemon: the CPUs that it would give them, and what it would say."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.chain import Snapshot
from koordnri.cpus.allocator import Allocator
from koordnri.cpus.creation import Creation, create
from koordnri.model import Container, CPUSet, NodeState, Pod, Resources
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.node import Pool
from koordnri.model.resource_spec import RESOURCE_SPEC
from koordnri.model.topology import Topology
from tests.support.pods import pod
from tests.support.policies import policy_of

EIGHT = NodeState(topology=Topology.regular(1, 1, 8, 1))


def pod_of(name: str, *cpus: int, qos: str = "LSR", **annotations: str) -> tuple[Pod, list[Container]]:
    """One container per number, called a, b, c…"""
    own = pod(qos, annotations=annotations, name=name)
    asked = [Resources(cpu_shares=1024 * n, cpu_quota=100_000 * n, cpu_period=100_000) for n in cpus]
    return own, [Container(f"{name}-{i}", "abc"[i], name, baseline) for i, baseline in enumerate(asked)]


def created(*pods: tuple[Pod, list[Container]], node: NodeState = EIGHT, **cpuset: Any) -> Creation:
    policy = policy_of(koordnri_config={"clusterStrategy": {"hooks": {"cpuset": {"minSharedCPUs": 0, **cpuset}}}})
    return create(pods, Snapshot.of(policy, node), Allocator())


def test_who_comes_first_is_given_first_and_the_others_share_what_is_left():
    done = created(pod_of("p", 2, 1), pod_of("s", 2, qos="LS"), pod_of("q", 3))
    assert done.given == {
        "uid-p": {"a": CPUSet.parse("0-1"), "b": CPUSet.parse("2")},
        "uid-q": {"a": CPUSet.parse("3-5")},
    }
    assert done.snapshot.node.exclusive_cpus == done.given
    assert [pool.cpus for pool in done.snapshot.node.ls_pools] == ["6-7"]
    assert done.lacking == {}


def test_who_comes_too_late_shares_and_its_owner_is_informed():
    (big, _), (late, _) = pods = [pod_of("big", 6), pod_of("late", 4)]
    done = created(*pods)
    assert done.given == {"uid-big": {"a": CPUSet.parse("0-5")}}
    shortage = "shares CPUs, though it wants 4 exclusive CPUs: 2 of 8 are free (6-7)"
    assert (done.shortage(late, "a"), done.refusal(late, "a")) == (shortage, "")
    assert done.shortage(big, "a") == done.refusal(big, "a") == ""


def test_or_is_refused_where_the_policy_says_so():
    (late, containers) = pod_of("late", 9)
    done = created((late, containers), whenFull="reject")
    assert done.refusal(late, "a") == "koordnri: container a wants 9 exclusive CPUs: 8 of 8 are free (0-7)"
    assert done.shortage(late, "a") == ""


def test_what_a_scheduler_assigned_before_is_not_free_and_what_it_assigns_later_is():
    assigned = pod_of("assigned", 2, **{RESOURCE_STATUS.key: '{"cpuset": "0-1"}'})
    assert created(assigned, pod_of("p", 2)).given == {"uid-p": {"a": CPUSet.parse("2-3")}}
    assert created(pod_of("p", 2), assigned).given == {"uid-p": {"a": CPUSet.parse("0-1")}}
    snapshot = Snapshot.of(policy_of(), EIGHT)
    assert create([pod_of("p", 2)], snapshot, Allocator(), [assigned[0]]).given == {"uid-p": {"a": CPUSet.parse("2-3")}}


def test_a_pod_that_is_recreated_gets_them_again():
    allocator = Allocator()
    snapshot = Snapshot.of(policy_of(), EIGHT)
    create([pod_of("gone", 2), pod_of("p", 2), pod_of("q", 2)], snapshot, allocator)
    allocator.forget_pod("uid-gone")
    assert create([pod_of("p", 2)], snapshot, allocator).given == {
        "uid-p": {"a": CPUSet.parse("0-1")},
        "uid-q": {"a": CPUSet.parse("4-5")},
    }


@pytest.mark.parametrize(
    ("options", "node"),
    [
        ({"allocate": False}, EIGHT),
        ({"mode": "off"}, EIGHT),
        ({"mode": "observe"}, EIGHT),
        ({}, NodeState(topology=EIGHT.topology, kubelet_cpu_policy="static")),
        ({}, NodeState(topology=EIGHT.topology, cgroup_read_only=True)),
        ({}, NodeState(topology=EIGHT.topology, ls_pools=(Pool(0, 0, "0-7"),))),
        ({}, NodeState()),
    ],
)
def test_nobody_is_given_any_where_the_daemon_gives_none(options, node):
    done = created(pod_of("p", 2), node=node, **options)
    assert (done.given, done.lacking) == ({}, {})
    assert (done.snapshot.node.exclusive_cpus, done.snapshot.node.ls_pools) == ({}, node.ls_pools)
    assert done.snapshot.node.no_exclusive_cpus["uid-p"]["a"], "why is reported"


def test_a_wish_that_cannot_be_read_counts_as_none_and_is_left_to_the_hook_to_report():
    done = created(pod_of("p", 2, **{RESOURCE_SPEC.key: "{"}), pod_of("q", 2))
    assert (done.given, done.lacking) == ({"uid-p": {"a": CPUSet([0, 1])}, "uid-q": {"a": CPUSet([2, 3])}}, {})
