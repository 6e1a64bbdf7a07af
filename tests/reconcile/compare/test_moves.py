"""How a difference reaches a container, or why it cannot."""

from __future__ import annotations

from koordnri.model import NodeState
from koordnri.model.fields import UNLIMITED
from koordnri.model.node import Resctrl
from koordnri.model.topology import Topology
from tests.reconcile.compare.one_comparison import classes, compared, container, hooks, moves, one, third
from tests.reconcile.fake_node import pinned_to
from tests.support.pods import pod as pod_of


def test_a_running_container_changes_its_resctrl_group():
    state = NodeState(resctrl=Resctrl("intel", 0xFF, 4, (0,), frozenset({"BE", "LS"})))
    be = pod_of(parent="/kubepods/besteffort/p", name="p")
    on, off = classes(beClass={"resctrlQOS": {"enable": True}}), {}

    joins, group = one(container(), pod=be, state=state, old=off, new=on).differences
    assert group.group == "BE"
    assert (joins.field, joins.before, joins.after, joins.route, joins.recorded) == (
        "rdt.closid", None, "BE", "resctrl", False
    )  # fmt: skip
    leaves, group = one(container(), pod=be, state=state, old=on, new=off).differences
    assert group.group == "BE"
    assert (leaves.before, leaves.after, leaves.route) == ("BE", None, "resctrl")
    assert leaves.reason == "back to the baseline: resource-qos-config.beClass.resctrlQOS is not enabled"


def test_every_way_in_which_the_environment_of_a_container_may_differ_is_reported_with_its_name():
    found = compared(
        third({"env[A]": "1", "env[B]": "1", "env[C]": "1"}), third({"env[B]": "1", "env[C]": "2", "env[D]": "1"})
    )
    assert moves(found, "restart") == {
        ("p", "main", "env[A]"): ("1", None),
        ("p", "main", "env[C]"): ("1", "2"),
        ("p", "main", "env[D]"): (None, "1"),
    }
    assert len(found.differences) == 3


def test_what_nobody_can_unset_stays_until_a_restart():
    """kubelet asks for no memory nodes, and what the runtime sets then is not known here."""
    found = compared(third({"cpu.mems": "0"}), third())
    assert moves(found, "restart") == {("p", "main", "cpu.mems"): ("0", None)}
    assert not found.differences[0].recorded


def test_lifted_cpus_are_written_even_where_a_described_node_does_not_show_which_come_instead():
    pod = pod_of("LSR", "/kubepods/p", pinned_to("2"), name="p")
    for topology, all_cpus in (None, None), (Topology.regular(1, 1, 4, 1), "0-3"):
        found = one(container(), pod=pod, state=NodeState(topology=topology), old={}, new=hooks(cpuset={"mode": "off"}))
        assert moves(found, "write")["p", "main", "cpu.cpus"] == ("2", all_cpus)


def test_a_container_that_followed_its_parents_cpus_and_gets_all_of_them_has_changed():
    """It does not follow any more; on v1 it never did."""
    state = NodeState(topology=Topology.regular(1, 1, 4, 1))
    pod = pod_of("LSR", "/kubepods/p", pinned_to("0-3"), name="p")
    off = hooks(cpuset={"mode": "off"})
    found = one(container(), pod=pod, state=state, old=off, new={})
    assert moves(found, "write")["p", "main", "cpu.cpus"] == ("", "0-3")


def test_a_runtime_records_what_it_can_carry_and_nothing_of_a_pod():
    found = compared(third(), third({"cpu.quota": 70_000}, {"cpu.quota": 80_000}), cpu_quota=50_000)
    assert [(d.container, d.before, d.after, d.route, d.recorded, d.reason) for d in found.differences] == [
        ("", UNLIMITED, 80_000, "write", False, "as set"),
        ("main", 50_000, 70_000, "write", True, "as set"),
    ]
