"""From compared file values to steps: what the column `writing` of the field table says."""

from __future__ import annotations

from koordnri.host.cgroup.bandwidth import BandwidthStep
from koordnri.host.cgroup.change import Change, Status
from koordnri.host.cgroup.in_use import InUse
from koordnri.host.cgroup.memory_limit import MemoryLimit, ThrottlingLimit
from koordnri.host.cgroup.step import Step
from koordnri.host.cgroup.steps import VoidableStep, steps_of
from koordnri.host.cgroup.value import FileValue, Tree
from koordnri.model import fields
from tests.host.cgroup.one_writer import C1, C2, TREE, apply, change, kernel_and_writer
from tests.host.fake_kernel import PAGE, ROOT, FakeKernel


def steps(version: int, *changes: Change) -> list[Step]:
    tree = Tree(ROOT, version, FakeKernel(version, TREE))
    file_values = [FileValue(tree, one) for one in changes]
    for file_value in file_values:
        file_value.compare()
    return steps_of(tree, file_values, InUse(tree))


def test_each_field_has_the_step_that_its_row_names() -> None:
    found = steps(
        2,
        change(C1, fields.CPU_CPUS, "1"),
        change(C1, fields.CPU_SHARES, 512),
        change(C1, fields.MEMORY_LIMIT, 9 * PAGE),
        change(C1, fields.MEMORY_HIGH, 8 * PAGE),
    )
    assert [type(step) for step in found] == [Step, VoidableStep, MemoryLimit, ThrottlingLimit]


def test_quota_period_and_burst_of_a_cgroup_are_one_step() -> None:
    found = steps(
        2,
        change(C1, fields.CPU_QUOTA, 50_000),
        change(C2, fields.CPU_QUOTA, 50_000),
        change(C1, fields.CPU_PERIOD, 50_000),
        change(C1, fields.CPU_BURST, 5_000),
    )
    assert [(type(step), step.directory, len(step.file_values)) for step in found] == [
        (BandwidthStep, C1, 3),
        (BandwidthStep, C2, 1),
    ]


def test_a_file_that_has_its_value_or_cannot_be_read_needs_no_step() -> None:
    assert steps(2, change(C1, fields.CPU_QUOTA, -1), change("kubepods/gone", fields.CPU_CPUS, "1")) == []


def test_a_quota_that_stays_is_part_of_the_step_of_its_period() -> None:
    (step,) = steps(2, change(C1, fields.CPU_QUOTA, -1), change(C1, fields.CPU_PERIOD, 50_000))
    assert [file_value.status for file_value in step.file_values] == [Status.SAME, None]


def test_what_voids_another_field_comes_before_all_others() -> None:
    found = steps(2, change(C1, fields.CPU_SHARES, 512), change(C1, fields.CPU_IDLE, 1))
    assert [step.field for step in found] == [fields.CPU_IDLE, fields.CPU_SHARES]


def test_shares_that_cpu_idle_voids_are_set_once_it_is_neutral() -> None:
    _, writer = kernel_and_writer(2)
    assert {o.status for o in apply(writer, change(C1, fields.CPU_IDLE, 1)).values()} == {Status.WRITTEN}
    assert {o.status for o in apply(writer, change(C1, fields.CPU_SHARES, 512)).values()} == {Status.WRITTEN}
    assert writer.read(C1, fields.CPU_IDLE).value == 0
