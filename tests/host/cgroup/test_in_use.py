"""Memory in use: the margin above it, and what the kernel is asked to reclaim."""

from __future__ import annotations

import pytest

from koordnri.host.cgroup.change import Status
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Field, fields
from tests.host.cgroup.one_writer import C1, POD, TOP, apply, change, kernel_and_writer, one
from tests.host.fake_kernel import NO_LIMIT, PAGE, ROOT, FakeKernel

MIB = 1 << 20


@pytest.mark.parametrize(
    ("usage", "margin"),
    [(0, 0), (3 * PAGE, 3 * PAGE), (MIB, MIB), (16 * MIB, MIB), (32 * MIB, MIB), (320 * MIB, 10 * MIB)],
)
def test_the_margin_is_a_part_of_what_is_in_use(usage: int, margin: int) -> None:
    kernel, writer = kernel_and_writer(2)
    kernel.cgroups[C1].usage = usage
    assert one(writer, change(C1, fields.MEMORY_HIGH, usage + margin or PAGE)).status is Status.WRITTEN
    if usage:
        kernel.cgroups[C1].high = NO_LIMIT
        assert one(writer, change(C1, fields.MEMORY_HIGH, usage + margin - PAGE)).status is Status.REFUSED
        assert kernel.cgroups[C1].high == usage + margin


@pytest.mark.parametrize(("field", "file"), [(fields.MEMORY_HIGH, "memory.high"), (fields.MEMORY_LIMIT, "memory.max")])
def test_what_only_caches_files_is_given_back_step_by_step(field: Field, file: str) -> None:
    kernel, _ = kernel_and_writer(2)
    cgroup = kernel.cgroups[C1]
    cgroup.usage, cgroup.cache = 200 * MIB, 150 * MIB
    passes = 0
    status = Status.REFUSED
    while status is Status.REFUSED:
        passes += 1
        assert passes < 9
        status = one(Writer(ROOT, 2, kernel), change(C1, field, 100 * MIB)).status
    assert status is Status.WRITTEN
    assert 90 * MIB < cgroup.usage <= 100 * MIB
    asked = [int(text) for path, text in kernel.log if path == f"{C1}/memory.reclaim"]
    assert len(asked) == passes > 2
    assert max(asked) == 32 * MIB
    assert kernel.log[-1] == (f"{C1}/{file}", str(100 * MIB))
    assert kernel.violations == []


def test_a_writer_has_only_so_much_reclaimed() -> None:
    kernel = FakeKernel(2, (TOP, POD, *(f"{POD}/c{i}" for i in range(5))))
    for path, cgroup in kernel.cgroups.items():
        if path not in (TOP, POD):
            cgroup.usage = cgroup.cache = 500 * MIB
    apply(Writer(ROOT, 2, kernel), *(change(f"{POD}/c{i}", fields.MEMORY_LIMIT, MIB) for i in range(5)))
    assert [text for path, text in kernel.log if path.endswith("reclaim")] == [str(32 * MIB)] * 2


def test_v1_reclaims_nothing() -> None:
    kernel, writer = kernel_and_writer(1)
    kernel.cgroups[C1].usage = kernel.cgroups[C1].cache = 9 * PAGE
    assert one(writer, change(C1, fields.MEMORY_LIMIT, 8 * PAGE)).status is Status.REFUSED
    assert kernel.log == []
