"""Whatever order containers, schedulers, DRA drivers, CPUs and restarts come in, on every kind of machine: no CPU is anybody's alone
twice, what is shared is what is left, nobody is put on a CPU that is not there, and when all have gone all is as before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from koordnri_hooks.cpuset import CPUSetHook

from koordnri.chain import Chain, Snapshot
from koordnri.cpus.allocator import Allocator, NotEnough
from koordnri.cpus.wish import RESOURCE_SPEC, may_wish
from koordnri.model import Container, CPUSet, Event, NodeState, Pod, Resources, fields
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.resources import NOTHING
from koordnri.model.topology import CPU, Topology
from koordnri.policy import DEFAULT_POLICY
from tests.examples import examples
from tests.hooks.one_hook import BESTEFFORT, BURSTABLE, GUARANTEED

TOPOLOGIES = {
    "1x1x4x1": Topology.regular(1, 1, 4, 1),
    "2x1x8x2": Topology.regular(2, 1, 8, 2),
    "AMD with 8 L3 domains": Topology.of([CPU(t * 32 + c, c, c // 4, 0, 0) for t in range(2) for c in range(32)]),
    "2 sockets with SNC": Topology.of(
        [CPU(t * 24 + c, c, c // 12, c // 6, c // 12) for t in range(2) for c in range(24)]
    ),
    "offline holes": Topology.of([c for c in Topology.regular(2, 2, 4, 2).cpus if c.cpu not in (0, 5, 17, 21, 30)]),
    "384 CPUs": Topology.regular(2, 4, 24, 2),
}
POD_IDS = [f"p{i}" for i in range(8)]
NONE = CPUSet()
WISHES = st.fixed_dictionaries(
    {},
    optional={
        "preferredCPUBindPolicy": st.sampled_from(["FullPCPUs", "SpreadByPCPUs"]),
        "requiredCPUBindPolicy": st.sampled_from(["FullPCPUs"]),
        "preferredCPUExclusivePolicy": st.sampled_from(["PCPULevel", "NUMANodeLevel"]),
    },
)


def union(sets: Any) -> CPUSet:
    all_of = NONE
    for one in sets:
        all_of |= one
    return all_of


class Life(RuleBasedStateMachine):
    """One node. `topology` is what it has when all is online."""

    def __init__(self, topology: Topology) -> None:
        super().__init__()
        self.topology = topology
        self.allocator = Allocator()
        self.pods: dict[str, Pod] = {}
        self.dra: dict[str, CPUSet] = {}

    @initialize(data=st.data())
    def node_that_keeps_some_for_others(self, data: st.DataObject) -> None:
        left = list(self.topology.online)
        parts = []
        for _ in range(3):  # reserved, kubelet's, the system's: somewhere, and not all
            count = data.draw(st.integers(0, len(left) // 4))
            start = data.draw(st.integers(0, len(left) - count))
            parts.append(CPUSet(left[start : start + count]))
            left = [cpu for cpu in left if cpu not in parts[-1]]
        reserved, kubelet, system = parts
        self.node = NodeState(
            topology=self.topology,
            reserved_cpus=reserved,
            kubelet_cpus=kubelet,
            system_cpus=str(system),
            system_exclusive=data.draw(st.booleans()),
        )
        self.start = self.present

    # what happens

    @rule(data=st.data(), which=st.sampled_from(POD_IDS), name=st.sampled_from(["main", "side"]), wish=WISHES)
    def container_is_created(self, data: st.DataObject, which: str, name: str, wish: dict[str, str]) -> None:
        pod = self.pods.get(which)
        if pod is None:
            qos = data.draw(st.sampled_from(["LSR", "LSR", "LSE"]))
            pod = self.pods[which] = Pod(
                which, f"uid-{which}", "shop", which, {"koordinator.sh/qosClass": qos},
                {RESOURCE_SPEC.key: str(wish).replace("'", '"')} if wish else {}, GUARANTEED,
            )  # fmt: skip
        count = data.draw(st.integers(1, max(len(self.topology.online) // 3, 1)))
        had = self.given.get((which, name))
        others = {key: cpus for key, cpus in self.given.items() if key != (which, name)}
        asked = Resources(cpu_shares=min(count * 1024, 262_144), cpu_quota=count * 100_000, cpu_period=100_000)
        free = self.online - union(others.values()) - self.of_the_node - self.of_schedulers
        try:
            given = self.allocator.give(pod, name, asked, self.node, self.pods.values())
        except NotEnough:
            # A wish that says "required" may fail with CPUs to spare; any other must not.
            assert len(free) < count or "requiredCPUBindPolicy" in pod.annotations.get(RESOURCE_SPEC.key, "")
            return
        if given is None:
            assert not may_wish(pod)
            return
        assert len(given.cpus) == count
        if had is not None and len(had) == count and had <= self.online:
            assert given.cpus == had, "a container that is made again finds its CPUs again"
        else:
            assert given.cpus <= free

    @rule(data=st.data(), which=st.sampled_from(POD_IDS))
    def scheduler_assigns(self, data: st.DataObject, which: str) -> None:
        left = list(self.online - union(self.given.values()) - self.of_the_node - self.of_schedulers)
        if which in self.pods or not left:
            return
        count = data.draw(st.integers(1, max(len(left) // 4, 1)))
        said = {RESOURCE_STATUS.key: f'{{"cpuset": "{CPUSet(left[:count])}"}}'}
        labels = {"koordinator.sh/qosClass": data.draw(st.sampled_from(["LSR", "LSE"]))}
        self.pods[which] = Pod(which, f"uid-{which}", "shop", which, labels, said, GUARANTEED)

    @rule(data=st.data(), which=st.sampled_from(POD_IDS))
    def dra_driver_gives(self, data: st.DataObject, which: str) -> None:
        left = list(self.online - union(self.given.values()) - self.of_the_node - self.of_schedulers)
        if which in self.pods or not left:
            return
        cpus = CPUSet(left[-data.draw(st.integers(1, max(len(left) // 4, 1))) :])
        self.pods[which] = Pod(which, f"uid-{which}", "shop", which, cgroup_parent=GUARANTEED)
        self.dra[which] = cpus
        self.allocator.note_dra(which, "main", cpus)

    @precondition(lambda self: self.pods)
    @rule(data=st.data())
    def pod_goes(self, data: st.DataObject) -> None:
        which = data.draw(st.sampled_from(sorted(self.pods)))
        del self.pods[which]
        self.dra.pop(which, None)
        self.allocator.forget_pod(which)

    @rule(data=st.data())
    def cpus_go_off_or_come_back(self, data: st.DataObject) -> None:
        absent = data.draw(st.sets(st.sampled_from(list(self.topology.online)), max_size=2))
        self.node = replace(self.node, topology=Topology.of([c for c in self.topology.cpus if c.cpu not in absent]))

    @rule()
    def daemon_restarts_with_nothing_but_synchronize(self) -> None:
        before, was = dict(self.given), self.present
        notes = [(self.pods[p], name, str(g)) for p, of in self.allocator.given.items() for name, g in of.items()]
        self.allocator = Allocator()
        self.allocator.restore(reversed(notes))
        for which, cpus in self.dra.items():
            self.allocator.note_dra(which, "main", cpus)
        assert self.given == before
        now = self.present
        assert (now.ls_pools, now.be_pools) == (was.ls_pools, was.be_pools)
        assert {p: of for p, of in now.own_cpus.items() if of} == {p: of for p, of in was.own_cpus.items() if of}

    # what holds at any time

    @property
    def given(self) -> dict[tuple[str, str], CPUSet]:
        return {(p, name): g.cpus for p, of in self.allocator.given.items() for name, g in of.items()}

    @property
    def online(self) -> CPUSet:
        assert self.node.topology is not None
        return self.node.topology.online

    @property
    def of_the_node(self) -> CPUSet:
        system = CPUSet.parse(self.node.system_cpus) if self.node.system_exclusive else NONE
        return self.node.reserved_cpus | self.node.kubelet_cpus | system | union(self.dra.values())

    @property
    def of_schedulers(self) -> CPUSet:
        return union(CPUSet.parse(s.cpuset) for p in self.pods.values() if (s := RESOURCE_STATUS.of(p)) is not None)

    @property
    def present(self) -> NodeState:
        return self.allocator.applied(self.node, self.pods.values())

    @invariant()
    def no_cpu_is_anybodys_alone_twice(self) -> None:
        taken = NONE
        for cpus in (*self.given.values(), self.of_schedulers, self.of_the_node):
            assert not cpus & taken
            taken |= cpus

    @invariant()
    def what_is_shared_is_what_is_left(self) -> None:
        node = self.present
        if not hasattr(self, "start"):
            return
        taken = (union(self.given.values()) | self.of_schedulers | self.of_the_node) & self.online
        shared = union(CPUSet.parse(pool.cpus) for pool in node.ls_pools)
        if not taken:
            assert (node.ls_pools, node.problems) == ((), ())
        elif taken != self.online:
            assert shared | taken == self.online
            assert not shared & taken
        else:
            assert any("would be empty" in problem for problem in node.problems)
        assert node.topology is not None
        for pool in (*node.ls_pools, *node.be_pools):
            assert {(c.socket, c.numa) for c in node.topology.cpus if c.cpu in CPUSet.parse(pool.cpus)} == {
                (pool.socket, pool.numa)
            }
        lse = {p.id for p in self.pods.values() if p.qos == "LSE"}
        of_lse = union(cpus for (which, _), cpus in self.given.items() if which in lse)
        be = union(CPUSet.parse(pool.cpus) for pool in node.be_pools)
        if be:
            assert not be & (of_lse | self.of_the_node) or any("of BE would be empty" in p for p in node.problems)

    @invariant()
    def nobody_is_put_on_a_cpu_that_is_not_there_nor_on_none(self) -> None:
        node = self.present
        if not hasattr(self, "start"):
            return
        strangers = [
            Pod("ls", "u", "n", "ls", {"koordinator.sh/qosClass": "LS"}, cgroup_parent=BURSTABLE),
            Pod("be", "u", "n", "be", {"koordinator.sh/qosClass": "BE"}, cgroup_parent=BESTEFFORT),
            Pod("none", "u", "n", "none", cgroup_parent=BURSTABLE),
            Pod("system", "u", "n", "system", {"koordinator.sh/qosClass": "SYSTEM"}, cgroup_parent=BURSTABLE),
        ]
        chain, alone = Chain([CPUSetHook()]), {}
        for pod in [*self.pods.values(), *strangers]:
            for name in node.own_cpus.get(pod.id, {"main": ""}):
                container = Container("c", name, pod.id, NOTHING)
                decision = chain.decide_container(pod, container, Event.SYNC, Snapshot(DEFAULT_POLICY, node))
                text = decision.value(fields.CPU_CPUS)
                if text is None:
                    continue
                cpus = CPUSet.parse(text)
                assert cpus
                if pod.qos != "SYSTEM":  # its CPUs are checked when the node's annotation is read
                    assert cpus <= self.online
                if name in node.own_cpus.get(pod.id, ()):
                    alone[pod.id, name] = cpus
        assert alone == {key: left for key, cpus in self.given.items() if (left := cpus & self.online)}

    def teardown(self) -> None:
        if not hasattr(self, "start"):
            return
        for which in sorted(self.pods, reverse=True):
            self.allocator.forget_pod(which)
        self.pods.clear()
        self.dra.clear()
        self.node = replace(self.node, topology=self.topology)
        assert self.present == self.start, "back at the start"


@pytest.mark.hypothesis  # which a state machine that a test runs itself does not say
@pytest.mark.parametrize("name", TOPOLOGIES)
def test_cpus_are_given_and_shared_as_they_should_be(name: str) -> None:
    run_state_machine_as_test(
        lambda: Life(TOPOLOGIES[name]),
        settings=settings(max_examples=examples(30), stateful_step_count=25, deadline=None),
    )
