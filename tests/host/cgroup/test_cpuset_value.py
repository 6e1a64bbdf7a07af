"""A cpuset on v2 counts once it is in effect: the kernel accepts what its parent does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from koordnri.host.cgroup.change import Change, Outcome, Status, by_level
from koordnri.host.cgroup.writer import Writer
from koordnri.model import fields
from tests.host.fake_kernel import ROOT, FakeKernel

TOP, POD, C = "kubepods", "kubepods/podX", "kubepods/podX/c"


def kernel_with(**cpus: set[int]) -> FakeKernel:
    """By the last part of its path, what a cgroup has."""
    kernel = FakeKernel(2, (TOP, POD, C))
    for name, some in cpus.items():
        kernel.cgroups[{"top": TOP, "pod": POD, "c": C}[name]].cpus = frozenset(some)
    return kernel


def given(kernel: FakeKernel, cpus: str) -> Outcome:
    (outcome,) = Writer(ROOT, 2, kernel).apply([[Change(C, fields.CPU_CPUS, "", cpus)]])
    return outcome


@pytest.mark.parametrize(
    ("wanted", "effect"),
    [("2-3", "0,1 is in effect"), ("1-2", "1 is in effect"), ("0-5", "0,1 is in effect")],
)
def test_what_an_ancestor_does_not_have_is_reported_with_its_name(wanted: str, effect: str) -> None:
    """As with AllowedCPUs=0-1 on kubepods.slice: two owners ran on the same CPUs, and nothing failed."""
    kernel = kernel_with(top={0, 1})
    outcome = given(kernel, wanted)
    assert outcome.status is Status.DRIFTED_BACK
    assert f"/{C}/cpuset.cpus: {wanted} is set, but" in outcome.error
    assert effect.replace("0,1", "0-1") in outcome.error
    assert outcome.error.endswith(f": {TOP} above it has only 0-1")
    assert not Writer(ROOT, 2, kernel).holds(outcome.change)
    kernel.log.clear()
    assert given(kernel, wanted).status is Status.DRIFTED_BACK
    assert kernel.log == [], "it is set: to write it once more would change nothing"
    kernel.cgroups[TOP].cpus = None
    assert given(kernel, wanted).status is Status.SAME
    assert Writer(ROOT, 2, kernel).holds(outcome.change)


def test_named_is_the_topmost_that_narrows() -> None:
    outcome = given(kernel_with(top={0, 1, 2}, pod={0, 1}), "2-3")
    assert outcome.error.endswith(f"{TOP} above it has only 0-2")
    outcome = given(kernel_with(top={0, 1, 2, 3}, pod={0, 1}), "2-3")
    assert outcome.error.endswith(f"{POD} above it has only 0-1")


def test_who_is_to_have_all_cpus_has_what_its_parent_has() -> None:
    """So is a cpuset given back that kubelet had not set."""
    kernel = kernel_with(top={0, 1}, c={1})
    assert given(kernel, "0-7").status is Status.WRITTEN


def test_cpus_that_are_offline_are_not_missed() -> None:
    kernel = kernel_with(c={2, 3, 9})
    change = Change(C, fields.CPU_CPUS, "", "2-3,9")
    assert Writer(ROOT, 2, kernel).holds(change)
    assert given(kernel, "2-3,9").status is Status.SAME
    kernel.cgroups[C].cpus = frozenset({9})
    outcome = given(kernel, "9")
    assert outcome.error.endswith("9 is set, but 0-7 is in effect: none of them is online")


def test_a_parent_that_grows_in_the_same_pass_is_no_reason() -> None:
    kernel = kernel_with(pod={0}, c={2})
    changes = [Change(POD, fields.CPU_CPUS, "", "0-3"), Change(C, fields.CPU_CPUS, "", "2")]
    outcomes = Writer(ROOT, 2, kernel).apply(by_level(changes))
    assert [(o.status, o.error) for o in outcomes] == [(Status.WRITTEN, ""), (Status.SAME, "")]


def test_cpus_that_a_partition_has_for_itself_are_reported() -> None:
    kernel = kernel_with(c={2, 3})
    kernel._effective = lambda path: frozenset({3}) if path == C else kernel.online  # type: ignore[method-assign]
    assert given(kernel, "2-3").error.endswith("3 is in effect: the rest is another cgroup's alone")


def test_memory_nodes_likewise(tmp_path: Path) -> None:
    directory = tmp_path / "sys/fs/cgroup" / C
    directory.mkdir(parents=True)
    for place, effective in (
        (directory, "0"),
        (directory.parent, "0"),
        (directory.parents[1], "0-1"),
        (directory.parents[2], "0-1"),
    ):
        (place / "cpuset.mems").write_text("")
        (place / "cpuset.mems.effective").write_text(f"{effective}\n")
    (outcome,) = Writer(tmp_path, 2).apply([[Change(C, fields.CPU_MEMS, "", "1")]])
    assert outcome.error.endswith(f"1 is set, but 0 is in effect: {POD} above it has only 0")


def test_a_kernel_that_does_not_report_cpus_is_believed(tmp_path: Path) -> None:
    directory = tmp_path / "sys/fs/cgroup" / C
    directory.mkdir(parents=True)
    (directory / "cpuset.cpus").write_text("\n")
    (outcome,) = Writer(tmp_path, 2).apply([[Change(C, fields.CPU_CPUS, "", "1")]])
    assert outcome.status is Status.WRITTEN
