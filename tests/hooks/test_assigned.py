"""CPUs that the scheduler assigned, of which some are offline: the others stay the pod's own."""

import pytest
from koordnri_hooks.assigned import assigned_cpus, set_assigned
from koordnri_hooks.cfs_quota import CFSQuota
from koordnri_hooks.cpuset import CPUSetHook

from koordnri.hook import Hook
from koordnri.model import NodeState, Resources, fields
from koordnri.model.topology import Topology
from tests.hooks.one_hook import context, faults, run, run_pod, values
from tests.support.pods import BESTEFFORT, GUARANTEED, pod

STATUS = "scheduling.koordinator.sh/resource-status"
NODE = NodeState(topology=Topology.regular(1, 1, 4, 2))
HOLED = NodeState(topology=Topology.of([c for c in Topology.regular(1, 1, 4, 2).cpus if c.cpu != 3]))


def assigned(cpuset, qos="LSR", parent=GUARANTEED):
    return pod(qos, parent, {STATUS: {"cpuset": cpuset}}, resources=Resources(cpu_quota=200_000))


class Assigned(Hook):
    """What the cpuset hook does with them, and nothing else."""

    name = "cpuset"
    owns = (fields.CPU_CPUS,)

    def decide(self, ctx):
        if not set_assigned(ctx):
            ctx.skip(fields.CPU_CPUS, "none")


@pytest.mark.parametrize(("qos", "parent"), [("LSR", GUARANTEED), ("LSE", GUARANTEED), ("BE", BESTEFFORT)])
def test_of_cpus_that_are_partly_offline_a_container_gets_the_others(qos, parent):
    assert values(run(CPUSetHook(), context(assigned("2-3", qos, parent), node=HOLED)))["cpu.cpus"] == "2"


def test_which_are_left_out_say_the_reason_and_an_error_of_the_annotation():
    decision = run(Assigned(), context(assigned("2-3,9"), node=HOLED))
    assert values(decision) == {"cpu.cpus": "2"}
    assert decision.settings["cpu.cpus"].reason == (
        "assigned by the scheduler, without 3,9: the node does not have them online"
    )
    [(fault, message)] = faults(decision)
    assert fault == "pod"
    assert STATUS in message
    assert "names CPUs 3,9, which the node does not have online; they are left out, and 2 used" in message


def test_nothing_is_reported_about_cpus_that_are_all_there():
    decision = run(Assigned(), context(assigned(" 3,2 "), node=NODE))
    assert (values(decision), faults(decision)) == ({"cpu.cpus": "3,2"}, [])
    assert decision.settings["cpu.cpus"].reason == "assigned by the scheduler"


@pytest.mark.parametrize("annotations", [{}, {STATUS: {"cpuset": " "}}])
def test_without_an_assignment_nothing_is_set(annotations):
    decision = run(Assigned(), context(pod("LSR", GUARANTEED, annotations), node=NODE))
    assert (values(decision), decision.skipped) == ({}, {"cpu.cpus": "none"})


def test_a_cpu_that_goes_offline_later_is_left_out_and_is_back_when_it_is():
    one = assigned("2-3")
    found = [values(run(CPUSetHook(), context(one, node=node)))["cpu.cpus"] for node in (NODE, HOLED, NODE)]
    assert found == ["2-3", "2", "2-3"]


def test_where_none_is_left_online_it_shares_and_is_never_set_to_nothing():
    one = assigned("3")
    assert assigned_cpus(one, NODE) == "3"
    ctx = context(one, node=HOLED)
    decision = run(CPUSetHook(), ctx)
    [(fault, message)] = faults(decision)
    assert fault == "pod"
    assert "3 names no CPU that the node has online; expected CPUs of 0-2,4-7" in message
    assert "" not in values(decision).values()


def test_a_container_keeps_no_quota_on_the_cpus_that_are_left_to_it():
    """Its pod's quota goes for the same assignment: the two must not report differently."""
    one = assigned("2-3")
    made = values(run(CFSQuota(), context(one, Resources(2048, 200_000), HOLED), before=[CPUSetHook()]))
    assert made == {"cpu.cpus": "2", "cpu.quota": -1}
    assert values(run_pod(CFSQuota(), one, HOLED)) == {"cpu.quota": -1}


class Other(Hook):
    """Whoever decides cpu.cpus instead."""

    name = "other"
    owns = (fields.CPU_CPUS,)

    def decide(self, ctx):
        ctx.set(fields.CPU_CPUS, "2,4", "elsewhere")


@pytest.mark.parametrize("cpuset", ["2-3", "2-", ""])
def test_other_cpus_than_the_assigned_ones_do_not_make_it_pinned(cpuset):
    ctx = context(assigned(cpuset), node=HOLED)
    run(Other(), ctx)
    assert not ctx.cpus_pinned
