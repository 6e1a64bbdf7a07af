"""Exclusive CPUs in a comparison: who keeps them, and who would get some."""

from __future__ import annotations

from typing import Any

from koordnri.chain import Chain, Snapshot, load_hooks
from koordnri.cpus.allocator import Allocator
from koordnri.cpus.creation import create
from koordnri.model import Container, NodeState, Resources
from koordnri.model.fields import UNLIMITED
from koordnri.model.topology import Topology
from koordnri.reconcile.compare.compare import compare
from koordnri.reconcile.compare.rows import Comparison
from koordnri.reconcile.compare.running import Running
from tests.reconcile.compare.one_comparison import hooks, moves
from tests.support.pods import pod as pod_of
from tests.support.policies import policy_of

EIGHT = NodeState(topology=Topology.regular(1, 1, 8, 1))
GIVES_NONE = hooks(cpuset={"allocate": False})


def lives(name: str, qos: str = "LSR", cpus: int = 2) -> Running:
    pod = pod_of(qos, f"/kubepods/{name}", name=name)
    asked = Resources(cpu_shares=1024 * cpus, cpu_quota=100_000 * cpus, cpu_period=100_000)
    return Running(pod.with_resources(asked), [Container(name, "main", name, asked)])


def with_exclusive_cpus(*running: Running, old: Any, new: Any) -> Comparison:
    """All of them were created under the old policy."""
    snapshots = [Snapshot.of(policy_of(**policy), EIGHT) for policy in (old, new)]
    given = Allocator()
    create([(one.pod, one.containers) for one in running], snapshots[0], given)
    before = given.held
    found = compare(Chain(load_hooks()), running, *snapshots, given=given)
    assert given.held is before
    return found


def test_the_same_policy_changes_nothing_of_who_has_what():
    running = [lives("a"), lives("s", "LS"), lives("b")]
    assert with_exclusive_cpus(*running, old={}, new={}).differences == []
    assert with_exclusive_cpus(*running, old=GIVES_NONE, new=GIVES_NONE).differences == []


def test_what_runs_keeps_its_cpus_when_the_policy_gives_none_any_more():
    found = with_exclusive_cpus(lives("a"), lives("s", "LS"), old={}, new=GIVES_NONE)
    assert moves(found, "write") == {}
    assert moves(found, "restart") == {
        ("a", "", "cpu.quota"): (UNLIMITED, 200_000),
        ("a", "main", "cpu.cpus"): ("0-1", "0-7"),
        ("a", "main", "cpu.quota"): (UNLIMITED, 200_000),
    }
    assert all(d.reason.startswith("once its pod is created again: ") for d in found.differences)
    assert not any(d.recorded for d in found.differences)


def test_what_runs_and_lacks_exclusive_cpus_is_promoted_when_the_policy_gives_some():
    found = with_exclusive_cpus(lives("a"), lives("s", "LS"), old=GIVES_NONE, new={})
    assert moves(found, "restart") == {}
    assert moves(found, "write")["a", "main", "cpu.cpus"] == ("", "0-1")
    assert moves(found, "write")["a", "main", "cpu.quota"] == (200_000, UNLIMITED)
    assert moves(found, "write")["s", "main", "cpu.cpus"] == ("", "2-7")


def test_or_waits_for_its_pod_to_be_recreated_where_nobody_is_promoted():
    found = with_exclusive_cpus(lives("a"), lives("s", "LS"), old=GIVES_NONE, new=hooks(cpuset={"promote": False}))
    assert moves(found, "write") == {}
    assert moves(found, "restart")["a", "main", "cpu.cpus"] == ("0-7", "0-1")
    assert moves(found, "restart")["a", "main", "cpu.quota"] == (200_000, UNLIMITED)
    assert {d.pod for d in found.differences} == {"a"}


def test_when_cpus_are_reserved_who_shares_leaves_them_at_once_and_who_has_them_alone_keeps_them():
    reserved = {"koordnri_config": {"clusterStrategy": {"reservedCPUs": "0-2"}}}
    found = with_exclusive_cpus(lives("a"), lives("s", "LS"), old={}, new=reserved)
    assert moves(found, "write")["s", "main", "cpu.cpus"] == ("2-7", "3-7")
    assert moves(found, "restart") == {("a", "main", "cpu.cpus"): ("0-1", "3-4")}


def test_without_the_hook_its_cpus_are_taken_at_once_and_nothing_is_left_for_later():
    found = with_exclusive_cpus(lives("a"), old={}, new=hooks(cpuset={"mode": "off"}))
    assert moves(found, "write")["a", "main", "cpu.cpus"] == ("0-1", "0-7")
    assert ("a", "main", "cpu.cpus") not in moves(found, "restart")


def test_who_shares_for_want_of_cpus_is_nobody_to_report_while_that_stays_so():
    reserved = {"koordnri_config": {"clusterStrategy": {"reservedCPUs": "0"}}}
    found = with_exclusive_cpus(lives("a", cpus=9), lives("b"), old={}, new=reserved)
    assert {(d.pod, d.route) for d in found.differences} == {("b", "restart")}
    assert found.remarks == []


def test_who_would_get_none_when_recreated_is_reported():
    reserved = {"clusterStrategy": {"reservedCPUs": "0-5"}}
    found = with_exclusive_cpus(lives("a", cpus=4), old={}, new={"koordnri_config": reserved})
    assert moves(found, "restart")["a", "main", "cpu.cpus"] == ("0-3", "6-7")
    (remark,) = found.remarks
    assert (remark.pod, remark.container, remark.hook) == ("a", "main", "cpuset")
    assert remark.message == (
        "once its pod is created again: shares CPUs, though it wants 4 exclusive CPUs: 2 of 8 are free (6-7), "
        "of which 1 stay shared (minSharedCPUs)"
    )
    reserved["clusterStrategy"]["hooks"] = {"cpuset": {"whenFull": "reject"}}
    found = with_exclusive_cpus(lives("a", cpus=4), old={}, new={"koordnri_config": reserved})
    assert moves(found, "restart") == {}
    assert [r.message for r in found.remarks] == [
        "could not be created again: koordnri: container main wants 4 exclusive CPUs: 2 of 8 are free (6-7), "
        "of which 1 stay shared (minSharedCPUs)"
    ]
