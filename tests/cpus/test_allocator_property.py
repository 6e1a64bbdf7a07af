"""Births, ends, second sandboxes, resizes, promotions, schedulers, DRA drivers, CPUs that go and restarts of ours, in any order and on
every kind of machine: no CPU has two owners, enough stay shared, what is shared is what is left, nobody is put on a CPU that is not
there, what has ended is free, and when all have gone all is as before.
"""

from __future__ import annotations

import contextlib
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
from koordnri.cpus import restore
from koordnri.cpus.allocator import Allocator
from koordnri.cpus.room import NotEnough
from koordnri.cpus.wish import may_wish, wanted_by
from koordnri.model import Container, CPUSet, Event, NodeState, Pod, Resources, fields
from koordnri.model.allocated import NOT_ALLOCATED
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.model.resource_spec import RESOURCE_SPEC
from koordnri.model.resources import NOTHING
from koordnri.model.topology import CPU, Topology
from koordnri.policy import DEFAULT_POLICY
from koordnri.policy.koordnri_config import CPUSetOptions
from tests.examples import examples
from tests.support.pods import BESTEFFORT, BURSTABLE, GUARANTEED

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
UIDS = [f"p{i}" for i in range(8)]
SPEC = PodSpec(
    {
        "init": ContainerSpec({}, {"cpu": "1"}, init=True),
        **dict.fromkeys(("main", "side"), ContainerSpec({}, {"cpu": "1"})),
    }
)
STRANGER = Pod("s", "s", "shop", "s", {"koordinator.sh/qosClass": "LS"}, {}, BURSTABLE)
NONE = CPUSet()
WISHES = st.fixed_dictionaries(
    {},
    optional={
        "preferredCPUBindPolicy": st.sampled_from(["FullPCPUs", "SpreadByPCPUs"]),
        "requiredCPUBindPolicy": st.sampled_from(["FullPCPUs"]),
        "preferredCPUExclusivePolicy": st.sampled_from(["PCPULevel", "NUMANodeLevel"]),
    },
)


def whole(cpus: int) -> Resources:
    """What kubelet asks for a container with a limit of so many CPUs, and a request of as many."""
    return Resources(cpu_shares=min(cpus * 1024, 262_144), cpu_quota=cpus * 100_000, cpu_period=100_000)


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
        """uid → pod"""
        self.asked: dict[tuple[str, str], Resources] = {}
        """(uid, container) that runs → what kubelet asks"""
        self.spent: set[tuple[str, str]] = set()
        """(uid, init container) that has ended"""
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
        self.options = CPUSetOptions(min_shared_cpus=data.draw(st.sampled_from(["core", 0, 1, 3])))
        self.node = NodeState(
            topology=self.topology,
            reserved_cpus=reserved,
            kubelet_cpus=kubelet,
            system_cpus=str(system),
            system_exclusive=data.draw(st.booleans()),
        )
        self.start = self.present

    # what happens

    @rule(data=st.data(), which=st.sampled_from(UIDS), name=st.sampled_from(["init", "main", "side"]), wish=WISHES)
    def container_is_created(self, data: st.DataObject, which: str, name: str, wish: dict[str, str]) -> None:
        """Also made again, in the same sandbox or a second one."""
        pod = self.pods.get(which)
        if pod is None:
            qos = data.draw(st.sampled_from(["LSR", "LSR", "LSE"]))
            pod = self.pods[which] = Pod(
                f"sandbox-{which}", which, "shop", which, {"koordinator.sh/qosClass": qos},
                {RESOURCE_SPEC.key: str(wish).replace("'", '"')} if wish else {}, GUARANTEED, spec=SPEC,
            )  # fmt: skip
        count = data.draw(st.integers(1, max(len(self.topology.online) // 3, 1)))
        asked, had = whole(count), self.held.get((which, name))
        self.spent.discard((which, name))
        self.asked[which, name] = asked
        others = {key: cpus for key, cpus in self.held.items() if key != (which, name) and key not in self.spent}
        free = self.usable - union(others.values()) - self.of_the_node - self.of_schedulers
        free -= union(cpus for key, cpus in self.held.items() if key in self.spent and key[0] != which)
        try:
            given = self.allocator.give(pod, name, asked, self.node, self.options)
        except NotEnough:
            spare = len(free) - self.least
            # A wish that says "required" may fail with CPUs to spare; any other must not.
            assert spare < count or "requiredCPUBindPolicy" in pod.annotations.get(RESOURCE_SPEC.key, "")
            return
        if given is None:
            assert not may_wish(pod)
            return
        if had is not None and len(had) == count and had <= self.usable:
            assert given.cpus == had, "a container that is made again finds its CPUs again"
        elif had is not None and given.cpus <= had:
            assert len(given.cpus) == min(count, len(had))
        elif len(given.cpus) == count:
            assert given.cpus <= free
        else:  # there are not so many: it keeps what it had
            assert given.cpus == had

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def container_is_resized(self, data: st.DataObject) -> None:
        key = which, name = data.draw(st.sampled_from(sorted(self.asked)))
        had = self.allocator.holding(self.pods[which], name)
        count = data.draw(st.integers(1, max(len(self.topology.online) // 3, 1)))
        asked = whole(count) if data.draw(st.integers(0, 4)) else Resources(1536, 150_000, 100_000)
        self.asked[key] = asked
        self.allocator.resize(self.pods[which], name, asked, self.node, self.options)
        has = self.allocator.holding(self.pods[which], name)
        if had is None or not may_wish(self.pods[which]):
            assert has is None, "whoever shares waits for its promotion"
        elif asked.cpu_quota == 150_000:
            assert has is None, "no owner's size: it gives all back"
        else:
            assert has is not None
            assert has.cpus == had.cpus if len(had.cpus) <= count else has.cpus <= had.cpus
            assert len(has.cpus) <= max(count, 0)

    @rule()
    def a_pass_promotes(self) -> None:
        for (which, name), asked in self.asked.items():
            pod, before, enough = self.pods[which], self.allocator.holding(self.pods[which], name), False
            with contextlib.suppress(NotEnough):
                self.allocator.promote(pod, name, asked, self.node, self.options)
                enough = True
            after = self.allocator.holding(pod, name)
            if before is not None and before.all & self.usable:
                assert after is not None
                assert before.cpus & self.usable <= after.cpus, "what it has and can use, it keeps"
            if after is not None and enough:
                assert len(after.all & self.usable) >= wanted_by(pod, name, asked).cpus, "it lacks some, silently"
        reserved = self.allocator.coming()
        self.no_cpu_is_anybodys_alone_twice()
        self.allocator.arrive(reserved)
        assert self.allocator.coming() == []

    @precondition(lambda self: any(name == "init" for _, name in self.asked))
    @rule(data=st.data())
    def init_container_ends(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(key for key in self.asked if key[1] == "init")))
        del self.asked[key]
        self.allocator.spend(self.pods[key[0]], "init")
        if self.allocator.holding(self.pods[key[0]], "init") is not None:
            self.spent.add(key)

    @rule(data=st.data(), which=st.sampled_from(UIDS))
    def scheduler_assigns(self, data: st.DataObject, which: str) -> None:
        left = list(self.online - union(self.held.values()) - self.of_the_node - self.of_schedulers)
        if which in self.pods or not left:
            return
        count = data.draw(st.integers(1, max(len(left) // 4, 1)))
        status = {RESOURCE_STATUS.key: f'{{"cpuset": "{CPUSet(left[:count])}"}}'}
        labels = {"koordinator.sh/qosClass": data.draw(st.sampled_from(["LSR", "LSE"]))}
        self.pods[which] = Pod(f"sandbox-{which}", which, "shop", which, labels, status, GUARANTEED)
        self.allocator.note_pod(self.pods[which])

    @rule(data=st.data(), which=st.sampled_from(UIDS))
    def dra_driver_gives(self, data: st.DataObject, which: str) -> None:
        left = list(self.online - union(self.held.values()) - self.of_the_node - self.of_schedulers)
        if which in self.pods or not left:
            return
        cpus = CPUSet(left[-data.draw(st.integers(1, max(len(left) // 4, 1))) :])
        self.pods[which] = Pod(f"sandbox-{which}", which, "shop", which, cgroup_parent=GUARANTEED)
        self.dra[which] = cpus
        self.allocator.note_dra(which, "main", cpus)

    @precondition(lambda self: self.pods)
    @rule(data=st.data())
    def pod_ends(self, data: st.DataObject) -> None:
        self.end(data.draw(st.sampled_from(sorted(self.pods))))

    def end(self, which: str) -> None:
        had = union(cpus for (uid, _), cpus in self.held.items() if uid == which) & self.usable
        del self.pods[which]
        self.dra.pop(which, None)
        self.asked = {key: asked for key, asked in self.asked.items() if key[0] != which}
        self.spent = {key for key in self.spent if key[0] != which}
        self.allocator.forget_pod(which)
        assert not had & union(self.held.values()), "what ended is free"

    @precondition(lambda self: self.pods)
    @rule(data=st.data())
    def pod_has_a_second_sandbox(self, data: st.DataObject) -> None:
        """All its containers have ended; one of them is made again, and finds its CPUs."""
        which = data.draw(st.sampled_from(sorted(self.pods)))
        mains = {name: self.asked[which, name] for uid, name in self.asked if uid == which and name != "init"}
        pod, before = self.pods[which], {name: self.allocator.holding(self.pods[which], name) for name in mains}
        if not mains or which in self.dra:
            return
        self.end(which)
        self.pods[which] = replace(pod, id=pod.id + "'")
        self.allocator.note_pod(self.pods[which])
        for name, asked in mains.items():
            self.asked[which, name] = asked
            with contextlib.suppress(NotEnough):
                has = self.allocator.give(self.pods[which], name, asked, self.node, self.options)
                had = before[name]
                if has is not None and had is not None and len(had.cpus) == len(has.cpus) and had.cpus <= self.usable:
                    assert has.cpus == had.cpus, "its former set, for that is still free"

    @rule(data=st.data())
    def cpus_go_off_or_come_back(self, data: st.DataObject) -> None:
        absent = data.draw(st.sets(st.sampled_from(list(self.topology.online)), max_size=2))
        self.node = replace(self.node, topology=Topology.of([c for c in self.topology.cpus if c.cpu not in absent]))

    @rule(data=st.data())
    def somebody_narrows_the_cgroup_of_all_pods(self, data: st.DataObject) -> None:
        cut = data.draw(st.integers(0, len(self.topology.online) // 2))
        self.node = replace(self.node, pods_cpus=CPUSet(list(self.topology.online)[cut:]) if cut else None)

    @rule(lost=st.booleans())
    def daemon_restarts_with_nothing_but_synchronize(self, lost: bool) -> None:
        """lost: the state directory, too; what was promoted or resized is known by its cgroup alone."""
        self.allocator.arrive(self.allocator.coming())
        for which, _ in self.spent:
            self.allocator.drop_spent(self.pods[which])
        self.spent.clear()
        before, was = dict(self.held), self.present
        if lost and was.empty_pools:
            return  # others run on the owners' CPUs: nothing shows whose they are
        pool = union(CPUSet.parse(p.cpus) for p in was.ls_pools) or None
        found = [restore.FoundHolding(STRANGER, name, NOTHING, NOT_ALLOCATED, pool, True) for name in ("main", "side")]
        for (which, name), asked in self.asked.items():
            has = self.allocator.holding(self.pods[which], name)
            if lost and has is not None and len(has.cpus) != wanted_by(self.pods[which], name, asked).cpus:
                return  # it has too few, and only its note could show it
            note = NOT_ALLOCATED if has is None or lost else has.allocated
            found.append(
                restore.FoundHolding(self.pods[which], name, asked, note, pool if has is None else has.cpus, True)
            )
        self.allocator = Allocator()
        self.allocator.restore(restore.holdings(reversed(found), self.node))
        for pod in self.pods.values():
            self.allocator.note_pod(pod)
        for which, cpus in self.dra.items():
            self.allocator.note_dra(which, "main", cpus)
        assert self.held == before
        now_is = self.present
        assert (now_is.ls_pools, now_is.be_pools, now_is.exclusive_cpus) == (
            was.ls_pools,
            was.be_pools,
            was.exclusive_cpus,
        )

    # what holds at any time

    @property
    def held(self) -> dict[tuple[str, str], CPUSet]:
        return {(uid, name): h.all for uid, of in self.allocator.held.items() for name, h in of.items()}

    @property
    def least(self) -> int:
        return (
            self.node.threads_per_core if self.options.min_shared_cpus == "core" else int(self.options.min_shared_cpus)
        )

    @property
    def usable(self) -> CPUSet:
        return self.online if self.node.pods_cpus is None else self.online & self.node.pods_cpus

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
        return self.allocator.applied(self.node, self.options)

    @invariant()
    def no_cpu_is_anybodys_alone_twice(self) -> None:
        taken = NONE
        for cpus in (*self.held.values(), self.of_schedulers, self.of_the_node):
            assert not cpus & taken
            taken |= cpus

    @invariant()
    def what_is_shared_is_what_is_left(self) -> None:
        node = self.present
        if not hasattr(self, "start"):
            return
        taken = (union(self.held.values()) | self.of_schedulers | self.of_the_node) & self.usable
        shared = union(CPUSet.parse(pool.cpus) for pool in node.ls_pools)
        assert shared <= self.usable
        if not taken:
            assert (node.ls_pools, node.empty_pools) == ((), ())
        elif taken != self.usable:
            assert shared | taken == self.usable
            assert not shared & taken
        else:
            assert "LS" in node.empty_pools
        assert node.topology is not None
        for pool in (*node.ls_pools, *node.be_pools):
            assert {(c.socket, c.numa) for c in node.topology.cpus if c.cpu in CPUSet.parse(pool.cpus)} == {
                (pool.socket, pool.numa)
            }
        lse = {p.key for p in self.pods.values() if p.qos == "LSE"}
        of_lse = union(cpus for (which, _), cpus in self.held.items() if which in lse)
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
            for name in node.exclusive_cpus.get(pod.key, {"main": ""}):
                container = Container("c", name, pod.id, NOTHING)
                decision = chain.decide_container(pod, container, Event.SYNC, Snapshot(DEFAULT_POLICY, node))
                text = decision.value(fields.CPU_CPUS)
                if text is None:
                    continue
                cpus = CPUSet.parse(text)
                assert cpus
                if pod.qos != "SYSTEM":  # its CPUs are checked when the node's annotation is read
                    assert cpus <= self.online
                if name in node.exclusive_cpus.get(pod.key, ()):
                    alone[pod.key, name] = cpus
        mine = {(uid, name): h.cpus for uid, of in self.allocator.held.items() for name, h in of.items() if not h.spent}
        assert alone == {key: left for key, cpus in mine.items() if (left := cpus & self.usable)}

    def teardown(self) -> None:
        if not hasattr(self, "start"):
            return
        for which in sorted(self.pods, reverse=True):
            self.allocator.forget_pod(which)
        self.pods.clear()
        self.dra.clear()
        self.node = replace(self.node, topology=self.topology, pods_cpus=None)
        assert self.present == self.start, "back at the start"


@pytest.mark.hypothesis  # which a state machine that a test runs itself does not say
@pytest.mark.parametrize("name", TOPOLOGIES)
def test_cpus_are_given_and_shared_as_they_should_be(name: str) -> None:
    run_state_machine_as_test(
        lambda: Life(TOPOLOGIES[name]),
        settings=settings(max_examples=examples(60), stateful_step_count=30, deadline=None),
    )
