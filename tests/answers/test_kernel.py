"""What a cgroup has now, beside what was decided."""

from __future__ import annotations

import pytest

from koordnri.answers.kernel import KernelReader
from koordnri.host.cgroup.writer import Writer
from koordnri.model import NodeState, fields
from tests.answers.explained import crun_node, explained, node_with_pinned_pod
from tests.host.fake_kernel import ROOT, FakeKernel
from tests.host.fake_resctrl import FakeResctrl


def test_a_value_that_somebody_else_wrote_does_not_agree() -> None:
    node = node_with_pinned_pod()
    node.kernel.cgroups["kubepods/p/p-main"].cpus = frozenset({5})
    shape = explained(node)
    found = shape["containers"][0]["fields"]["cpu.cpus"]
    assert (found["value"], found["kernel"], found["agrees"]) == ("2,3", "5", False)
    assert [line for line in shape["wouldChange"] if line.startswith("cpu.cpus of container main has another value")]


def test_under_crun_the_inner_cgroup_counts_and_its_scope_is_shown_too() -> None:
    node, scope = crun_node()
    quota = explained(node)["containers"][0]["fields"]["cpu.quota"]
    assert (quota["kernel"], quota["outer"], quota["agrees"]) == (50_000, 50_000, True)
    node.kernel.cgroups[scope].quota = 70_000
    quota = explained(node)["containers"][0]["fields"]["cpu.quota"]
    assert (quota["kernel"], quota["outer"], quota["agrees"]) == (50_000, 70_000, False)


def test_a_cgroup_that_is_gone_says_so() -> None:
    node = node_with_pinned_pod()
    del node.kernel.cgroups["kubepods/p/p-main"]
    shape = explained(node)
    field = shape["containers"][0]["fields"]["cpu.cpus"]
    assert (field["kernel"], field["agrees"], bool(field["error"])) == (None, None, True)
    assert [line for line in shape["wouldChange"] if "cpu.cpus of container main cannot be read" in line]


@pytest.mark.parametrize(
    ("groups", "shown", "agrees"),
    [
        (("LS", "LS"), "LS", True),
        (("LS", ""), "LS, (root group)", False),
        (("BE",), "BE", False),
        (("",), "(root group)", False),
        ((), None, None),
    ],
)
def test_the_group_in_the_kernel_is_that_of_the_threads(
    groups: tuple[str, ...], shown: str | None, agrees: bool | None
) -> None:
    resctrl = FakeResctrl()
    for group in ("LS", "BE"):
        resctrl.tree.make(group)
    for group in groups:
        resctrl.spawn("c", group)
    kernel = KernelReader(Writer(ROOT, 2, FakeKernel(2)), NodeState(), lambda: resctrl.tree)
    found = kernel.now("c", fields.RDT_CLOSID, "", "LS")
    assert (found["kernel"], found["agrees"]) == (shown, agrees)
