"""Whose CPUs a pod runs on."""

from __future__ import annotations

from dataclasses import replace

from koordnri.cpus.allocator import Allocator
from koordnri.cpus.holding import Holding
from koordnri.model import CPUSet
from koordnri.model.node import Pool
from tests.answers.explained import explained
from tests.reconcile.fake_node import FakeNode


def test_exclusive_cpus_what_comes_what_is_lacking_and_the_pools() -> None:
    node = FakeNode(2)
    node.container(node.pod("p", "LSR", "Guaranteed"))
    node.state = replace(
        node.state,
        exclusive_cpus={"uid-p": {"main": CPUSet.parse("2-3")}, "uid-other": {"main": CPUSet.parse("5")}},
        no_exclusive_cpus={"uid-p": {"side": "all are taken"}},
        ls_pools=(Pool(0, 0, "0-1,4"),),
        pools_are_local=True,
    )
    allocator = Allocator()
    allocator.restore({"uid-p": {"main": Holding(CPUSet.parse("2-3"), coming=CPUSet.parse("6"))}})
    shape = explained(node, allocator=allocator)
    assert shape["cpus"] == {
        "exclusive": {"main": "2-3"},
        "coming": {"main": "6"},
        "lacking": {"side": "all are taken"},
        "assigned": "",
        "claimed": {},
        "sharePools": {"LS": [{"socket": 0, "node": 0, "cpuset": "0-1,4"}], "BE": [], "from": "koordnri"},
    }
    assert "container main gets CPUs 6 as soon as all others have left them" in shape["wouldChange"]
    assert "container side has no exclusive CPUs: all are taken" in shape["wouldChange"]
