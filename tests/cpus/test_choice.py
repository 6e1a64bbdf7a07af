"""Which CPUs a container gets for itself, on the topologies that there are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.cpus.choice import Wish, choose, numa_nodes
from koordnri.model.cpuset import CPUSet
from koordnri.model.topology import CPU, Topology

SMALL = Topology.regular(1, 1, 4, 1)
TWO_SOCKETS = Topology.regular(2, 1, 8, 2)
SNC = Topology.regular(2, 2, 6, 2)
"""Two sockets of two sub-NUMA clusters each"""
HUGE = Topology.regular(2, 4, 24, 2)
"""384 CPUs on 8 NUMA nodes"""
EPYC = Topology.of([CPU(t * 64 + c, core=c, l3=c // 8, numa=c // 32, socket=0) for t in range(2) for c in range(64)])
"""One socket, 2 NUMA nodes, 8 L3 caches of 8 cores"""
HOLES = Topology.of([c for c in TWO_SOCKETS.cpus if c.cpu not in (1, 3, 17, 21)])
"""Two sockets of which some threads are offline"""
ALL = {"small": SMALL, "two sockets": TWO_SOCKETS, "snc": SNC, "huge": HUGE, "epyc": EPYC, "holes": HOLES}


def cpus(text: str) -> CPUSet:
    return CPUSet.parse(text)


def chosen(
    topology: Topology, count: int, free: str = "", bind: str = "", exclusive: str = "", others: tuple = ()
) -> str | None:
    found = choose(topology, cpus(free) if free else topology.online, Wish(count, bind, exclusive), others)
    return None if found is None else str(found)


@pytest.mark.parametrize(
    ("topology", "count", "free", "bind", "expected"),
    [
        (SMALL, 1, "", "", "0"),
        (SMALL, 4, "", "", "0-3"),
        (SMALL, 5, "", "", None),
        (SMALL, 2, "1,3", "", "1,3"),
        (TWO_SOCKETS, 2, "", "", "0,16"),  # a whole core
        (TWO_SOCKETS, 1, "", "", "0"),
        (TWO_SOCKETS, 1, "1-31", "", "16"),  # its sibling is taken: the gap is filled before a core is broken
        (TWO_SOCKETS, 3, "", "", "0-1,16"),
        (TWO_SOCKETS, 3, "1-31", "", "1,16-17"),
        (TWO_SOCKETS, 16, "", "", "0-7,16-23"),  # one NUMA node
        (TWO_SOCKETS, 16, "1-31", "", "8-15,24-31"),  # the other one is whole
        (TWO_SOCKETS, 2, "4-15,20-31", "", "4,20"),  # best fit: the node that is broken already keeps the other whole
        (TWO_SOCKETS, 18, "", "", "0-8,16-24"),
        (TWO_SOCKETS, 2, "0-7,8,24", "", "8,24"),  # a whole core before the best fit
        (TWO_SOCKETS, 2, "0-7", "", "0-1"),  # no whole core is left
        (TWO_SOCKETS, 2, "0-7", "FullPCPUs", None),
        (TWO_SOCKETS, 3, "", "FullPCPUs", None),  # cores have two threads
        (TWO_SOCKETS, 4, "", "FullPCPUs", "0-1,16-17"),
        (TWO_SOCKETS, 4, "", "SpreadByPCPUs", "0-3"),
        (TWO_SOCKETS, 10, "", "SpreadByPCPUs", "0-7,16-17"),
        (TWO_SOCKETS, 10, "0-7,16-17", "SpreadByPCPUs", "0-7,16-17"),  # second threads of those that have one free
        (TWO_SOCKETS, 2, "7,23,8-15,24-31", "SpreadByPCPUs", "8-9"),  # two cores before the best fit
        (TWO_SOCKETS, 2, "7,23,15", "SpreadByPCPUs", "7,23"),  # one node before two cores
        (EPYC, 16, "", "", "0-7,64-71"),  # one cache
        (EPYC, 8, "0-3,8-127", "", "0-3,64-67"),  # the broken cache has just enough
        (EPYC, 10, "0-3,8-127", "", "8-12,72-76"),  # enough CPUs, but not enough whole cores
        (EPYC, 4, "0-1,8-63,64-65,72-127", "", "0-1,64-65"),  # the cache with the smallest gap that will do
        (EPYC, 32, "", "", "0-15,64-79"),
        (SNC, 12, "", "", "0-5,24-29"),
        (HOLES, 2, "", "", "0,16"),
        (HOLES, 1, "", "", "5"),  # its sibling 21 is offline: a core of one thread is whole
        (HOLES, 2, "5-6,22", "", "6,22"),  # a pair before a core of one thread and half a pair
        (HOLES, 1, "", "FullPCPUs", "5"),
        (HOLES, 4, "0,4-6,16,20,22", "FullPCPUs", "0,4,16,20"),  # not core 5 first, after which a pair no longer fits
        (HOLES, 3, "0,4-6,16,20,22", "FullPCPUs", "0,5,16"),
    ],
)
def test_fewest_nodes_then_caches_then_whole_cores_then_best_fit_then_lowest(topology, count, free, bind, expected):
    assert chosen(topology, count, free, bind) == expected


@pytest.mark.parametrize(
    ("exclusive", "others", "expected"),
    [
        ("", ((cpus("0"), "PCPULevel"),), "16"),
        ("PCPULevel", ((cpus("0"), "PCPULevel"),), "1"),
        ("PCPULevel", ((cpus("0"), "NUMANodeLevel"),), "16"),
        ("NUMANodeLevel", ((cpus("0"), "NUMANodeLevel"),), "8"),
        ("NUMANodeLevel", ((cpus("0"), "NUMANodeLevel"), (cpus("8"), "NUMANodeLevel")), None),
    ],
)
def test_who_wishes_to_be_alone_keeps_away_from_others_with_the_same_wish(exclusive, others, expected):
    assert chosen(TWO_SOCKETS, 1, "1-31", exclusive=exclusive, others=others) == expected


@pytest.mark.parametrize("count", [0, -1])
def test_nothing_is_no_wish(count):
    assert chosen(SMALL, count) is None


@st.composite
def asked(draw: st.DrawFn) -> tuple[Topology, CPUSet, Wish]:
    topology = ALL[draw(st.sampled_from(sorted(ALL)))]
    # One number with a bit per CPU, for draws of 384 booleans take all the time there is.
    some = draw(st.integers(0, (1 << (max(topology.online) + 1)) - 1))
    free = CPUSet(cpu for cpu in topology.online if some >> cpu & 1) if draw(st.booleans()) else topology.online
    wish = Wish(draw(st.integers(1, 40)), draw(st.sampled_from(["", "FullPCPUs", "SpreadByPCPUs"])))
    return topology, free, wish


@given(asked())
def test_what_is_chosen_is_free_and_as_much_as_was_asked(it):
    topology, free, wish = it
    found = choose(topology, free, wish)
    if found is None:
        assert wish.bind == "FullPCPUs" or len(list(free)) < wish.cpus
        return
    assert found <= free
    assert len(list(found)) == wish.cpus
    assert found == choose(topology, free, wish), "deterministic"
    if wish.bind == "FullPCPUs":
        cores = {c.core for c in topology.cpus if c.cpu in found}
        assert CPUSet(c.cpu for c in topology.cpus if c.core in cores) == found


@given(asked())
def test_within_one_numa_node_no_answer_with_fewer_caches_exists(it):
    topology, free, wish = it
    found = choose(topology, free, wish._replace(bind=""))
    nodes = {c.numa for c in topology.cpus if found is not None and c.cpu in found}
    if found is None or len(nodes) > 1:
        return
    caches = {c.l3 for c in topology.cpus if c.cpu in found}
    here = [c for c in topology.cpus if c.cpu in free and c.numa in nodes]
    room = sorted((sum(c.l3 == cache for c in here) for cache in {c.l3 for c in here}), reverse=True)
    assert sum(room[: len(caches) - 1]) < wish.cpus


@given(asked())
def test_no_answer_with_fewer_numa_nodes_exists(it):
    topology, free, wish = it
    found = choose(topology, free, wish._replace(bind=""))
    if found is None:
        return
    nodes = {c.numa for c in topology.cpus if c.cpu in found}
    room = sorted(
        (sum(c.numa == n and c.cpu in free for c in topology.cpus) for n in {c.numa for c in topology.cpus}),
        reverse=True,
    )
    assert sum(room[: len(nodes) - 1]) < wish.cpus


def test_the_numa_nodes_of_cpus_are_those_that_have_one_of_them() -> None:
    topology = Topology.regular(1, 2, 2, 2)
    assert [numa_nodes(topology, CPUSet(cpus)) for cpus in ([], [0, 5], [1, 6])] == [
        CPUSet(nodes) for nodes in ([], [0], [0, 1])
    ]
