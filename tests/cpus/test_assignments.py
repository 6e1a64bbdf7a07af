"""CPUs that schedulers assigned: a later assignment never takes another pod's CPUs."""

from __future__ import annotations

from koordnri.cpus.allocator import Allocator
from koordnri.cpus.assignments import in_order
from koordnri.cpus.restore import FoundHolding
from koordnri.model import CPUSet, NodeState, Pod
from koordnri.model.allocated import NOT_ALLOCATED
from koordnri.model.assigned import assigned_on
from koordnri.model.pod import SOURCE_KEY, ContainerSpec, PodSpec
from koordnri.model.resources import Resources
from koordnri.policy.trust import believed
from koordnri.policy.trust_options import TrustOptions
from tests.cpus.one_allocator import NODE, give
from tests.support.pods import pod

KEY = "scheduling.koordinator.sh/resource-status"
ENFORCED, OBSERVED, OFF = TrustOptions(), TrustOptions(mode="observe"), TrustOptions(mode="off")


def assigned(name: str, cpus: str, rules: TrustOptions = ENFORCED) -> Pod:
    """A pod of koord-scheduler."""
    spec = PodSpec({"main": ContainerSpec({"cpu": "8"}, {})}, scheduler_name="koord-scheduler")
    return believed(pod("LSR", annotations={KEY: {"cpuset": cpus}}, name=name, spec=spec), rules)


def node_of(allocator: Allocator) -> NodeState:
    return allocator.applied(NODE)


def cpus_of(one: Pod, allocator: Allocator) -> str:
    return str(assigned_on(one, node_of(allocator)))


def test_whoever_comes_later_gets_the_cpus_once_they_are_free():
    allocator, first, second = Allocator(), assigned("first", "2-3"), assigned("second", "3-4")
    assert allocator.note_pod(first)
    assert allocator.disputed(first) is None
    assert allocator.note_pod(second)
    assert (cpus_of(first, allocator), cpus_of(second, allocator)) == ("2-3", "")
    verdict = allocator.disputed(second)
    assert verdict is not None
    assert (
        str(verdict) == f"annotation {KEY} not believed: it names CPUs of another pod (3); it counts once they are free"
    )
    assert node_of(allocator).verdicts_of(second) == (verdict,)
    assert not allocator.note_pod(second), "nothing has changed"
    allocator.forget_pod(first.key)
    assert cpus_of(second, allocator) == "3-4"
    assert node_of(allocator).verdicts_of(second) == second.verdicts


def test_exclusive_cpus_of_a_container_are_not_taken_by_naming_them():
    allocator = Allocator()
    held = give(allocator, "owner")
    allocator.note_pod(thief := assigned("thief", held))
    assert cpus_of(thief, allocator) == ""
    assert str(node_of(allocator).exclusive_cpus["uid-owner"]["main"]) == held


def test_cpus_of_a_dra_driver_are_another_pods_unless_they_are_its_own():
    allocator = Allocator()
    own, other = assigned("own", "2-3"), assigned("other", "2-3")
    allocator.note_dra(own.key, "main", CPUSet.parse("2-3"))
    for one in (own, other):
        allocator.note_pod(one)
    assert (cpus_of(own, allocator), cpus_of(other, allocator)) == ("2-3", "")


def test_another_assignment_of_the_same_pod_comes_last():
    allocator, first, second = Allocator(), assigned("first", "2-3"), assigned("second", "4-5")
    for one in (first, second):
        allocator.note_pod(one)
    moved = assigned("first", "4-5")
    assert allocator.note_pod(moved)
    assert (cpus_of(moved, allocator), cpus_of(second, allocator)) == ("", "4-5")


def test_disputes_are_only_shown_while_the_policy_observes_and_not_looked_for_when_trust_is_off():
    for rules, outcome in ((OBSERVED, "observed"), (OFF, None)):
        allocator = Allocator()
        first, second = assigned("first", "2-3", rules), assigned("second", "2-3", rules)
        for one in (first, second):
            allocator.note_pod(one)
        verdict = allocator.disputed(second)
        assert (verdict and verdict.outcome) == outcome
        assert cpus_of(second, allocator) == "2-3"


def test_root_of_the_node_may_name_any_cpus_by_a_static_pod():
    allocator, first = Allocator(), assigned("first", "2-3")
    static = believed(pod("LSR", annotations={KEY: {"cpuset": "2-3"}, SOURCE_KEY: "file"}, name="static"), ENFORCED)
    for one in (first, static):
        allocator.note_pod(one)
    assert (cpus_of(first, allocator), cpus_of(static, allocator)) == ("2-3", "2-3")


def test_what_a_disputed_assignment_names_stays_in_nobodys_way():
    allocator = Allocator()
    allocator.note_pod(assigned("first", "2-3"))
    allocator.note_pod(assigned("second", "2-7"))
    allocator.note_pod(third := assigned("third", "4-5"))
    assert cpus_of(third, allocator) == "4-5"


def test_after_a_restart_those_that_run_on_their_cpus_come_first():
    thief, victim, plain = assigned("thief", "2-3"), assigned("victim", "2-3"), pod("LS", name="plain")
    found = [
        (one.name, FoundHolding(one, "main", Resources(), NOT_ALLOCATED, None, alive=True))
        for one in (thief, plain, victim)
    ]
    now = {"thief": CPUSet.parse("0-7"), "victim": CPUSet.parse("2-3")}
    assert [one.name for one in in_order(found, lambda _, i: now.get(i))] == ["victim", "thief", "plain"]


def test_cpus_that_kubelet_pinned_another_pod_to_are_not_taken_by_naming_them():
    allocator, thief, own = Allocator(), assigned("thief", "2-3"), assigned("own", "4-5")
    for one in (thief, own):
        allocator.note_pod(one)
    allocator.note_pins({("uid-pinned", "main"): CPUSet.parse("3"), ("uid-own", "main"): CPUSet.parse("2")})
    assert cpus_of(thief, allocator) == "", "CPU 3 is the pinned pod's"
    assert cpus_of(own, allocator) == "4-5", "wherever kubelet pinned it, it runs on these"
    allocator.note_pins({("uid-own", "main"): CPUSet.parse("2")})
    assert cpus_of(thief, allocator) == "2-3", "no pod runs on what kubelet pinned the other one to"
