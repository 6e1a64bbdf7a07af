"""Who has exclusive CPUs, and who runs where."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from koordnri.answers.cpu_owners import CPUOwner, CPUUser, cpu_owners, cpu_users
from koordnri.cpus.choice import Wish
from koordnri.cpus.holding import Holding
from koordnri.model import CPUSet, NodeState, Pod, Resources
from koordnri.model.topology import Topology
from koordnri.state.entry import Entry
from tests.support.pods import pod

NODE = NodeState(topology=Topology.regular(1, 2, 4, 2))
TWO = Resources(2048, 200_000, 100_000)
"""two whole CPUs"""


def entry(baseline: Resources = TWO, **has: Any) -> Entry:
    made = Entry("c", "main", "p", baseline)
    for name, value in has.items():
        setattr(made, name, value)
    return made


def one_owner(of: Pod, container: Entry, **node: Any) -> CPUOwner:
    held, pins = node.pop("held", {}), node.pop("pins", {})
    (found,) = cpu_owners([of], [container], replace(NODE, **node), held, pins)
    return found


def given(*cpus: int, **more: Any) -> dict[str, Any]:
    """What the allocator gave to `main`."""
    holding = Holding(CPUSet(cpus), **more)
    return {"exclusive_cpus": {"uid-p": {"main": holding.cpus}}, "held": {"uid-p": {"main": holding}}}


def test_cpus_of_the_allocator_come_with_the_wish_that_was_met() -> None:
    spec = {"scheduling.koordinator.sh/resource-spec": '{"preferredCPUBindPolicy": "SpreadByPCPUs"}'}
    found = one_owner(pod("LSE", annotations=spec, name="p"), entry(), **given(0, 1, lse=True))
    assert found == CPUOwner("shop/p", "main", CPUSet([0, 1]), "koordnri", Wish(2, "SpreadByPCPUs"), lse=True)


def test_cpus_of_a_scheduler_are_the_whole_pods() -> None:
    status = {"scheduling.koordinator.sh/resource-status": '{"cpuset": "2-3"}'}
    found = one_owner(pod("LSR", annotations=status, name="p"), entry())
    assert found == CPUOwner("shop/p", "", CPUSet([2, 3]), "koord-scheduler", Wish(2))


def test_cpus_of_kubelet_and_of_a_dra_driver_are_a_containers() -> None:
    pinned = one_owner(pod(name="p"), entry(), pins={("uid-p", "main"): CPUSet([4, 5])})
    assert (pinned.container, pinned.cpus, pinned.by) == ("main", CPUSet([4, 5]), "kubelet")
    claimed = one_owner(pod(name="p"), entry(), dra_cpus={"uid-p": {"main": CPUSet([6])}})
    assert (claimed.container, claimed.cpus, claimed.by) == ("main", CPUSet([6]), "DRA driver")


def test_cpus_that_others_have_yet_to_leave_and_those_of_an_unknown_pod_are_nobodys() -> None:
    coming = {"uid-p": {"main": Holding(CPUSet(), coming=CPUSet([0]))}}
    assert cpu_owners([pod("LSR", name="p")], [entry()], NODE, coming, {}) == []
    gone = replace(NODE, exclusive_cpus={"uid-gone": {"main": CPUSet([1])}})
    assert cpu_owners([pod("LSR", name="p")], [entry()], gone, {}, {}) == []


def test_an_owner_that_was_not_started_does_not_run() -> None:
    assert one_owner(pod("LSR", name="p"), entry(), **given(0, 1)).runs
    assert not one_owner(pod("LSR", name="p"), entry(started=False), **given(0, 1)).runs


@pytest.mark.parametrize("released", ["*", "p"])
def test_nobody_is_kept_off_the_cpus_of_a_released_pod(released: str) -> None:
    of = pod("LSR", name="p")
    assert not one_owner(of, entry(), **given(0, 1), released=frozenset((of.id if released == "p" else "*",))).runs


def test_a_user_runs_on_what_its_file_had_before_what_was_sent() -> None:
    sent = {"cpu.cpus": ("0-7", "adjust")}
    assert list(cpu_users([pod(name="p")], [entry(sent=sent)])) == [CPUUser("shop/p", "main", CPUSet(range(8)))]
    both = entry(sent=sent, files={"cpu.cpus": "1"})
    assert list(cpu_users([pod(parent="/kubepods/besteffort/podp", name="p")], [both])) == [
        CPUUser("shop/p", "main", CPUSet([1]), batch=True)
    ]


def test_no_user_is_a_container_that_does_not_run_or_whose_cpus_are_not_ours() -> None:
    sent = {"cpu.cpus": ("0-7", "adjust")}
    assert not list(cpu_users([pod(name="p")], [entry(sent=sent, started=False)]))
    assert not list(cpu_users([pod(name="p")], [entry(sent=sent, ended=True)]))
    assert not list(cpu_users([pod(name="p")], [entry(), entry(sent={"cpu.cpus": ("nonsense", "adjust")})]))
