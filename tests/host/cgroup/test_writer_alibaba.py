"""The cgroup writer and the memory files that only Alibaba's kernels have, on a fake kernel that has them."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.host.cgroup.change import Change, Status
from koordnri.host.cgroup.spelling import form
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Field, fields
from koordnri.model.fields import ALL
from tests.host.fake_kernel import ALIBABA, OOM_GROUP, PAGE, ROOT, FakeKernel

BOTH = pytest.mark.parametrize("version", [1, 2])
POD = "kubepods/podX"
FILES = [f for f in ALL if f.v2 and f.v2[0] in ALIBABA | OOM_GROUP]


def kernel_and_writer(version: int) -> tuple[FakeKernel, Writer]:
    kernel = FakeKernel(version, ("kubepods", POD))
    kernel.alibaba = True
    return kernel, Writer(ROOT, version, kernel)


def test_the_table_of_fields_has_each_file_of_the_kernel_and_its_first_value() -> None:
    assert {f.name: f.neutral for f in FILES if f is not fields.MEMORY_OOM_GROUP} == {
        name: start for name, (start, _) in ALIBABA.items()
    }
    for field in FILES:
        for version in (1, 2):
            spelled = form(field, version)
            assert spelled is not None
            assert spelled.files == ((field.v1,) if version == 1 else field.v2)


@BOTH
@pytest.mark.parametrize("field", FILES, ids=lambda f: f.name)
def test_each_value_that_the_kernel_takes_reads_back(version: int, field: Field) -> None:
    kernel, writer = kernel_and_writer(version)
    taken = (ALIBABA | OOM_GROUP)[field.name][1]
    start = kernel.cgroups[POD].numbers.get(field.name, (ALIBABA | OOM_GROUP)[field.name][0])
    assert writer.read(POD, field).value == start
    for value in (taken[-1], taken[0]):
        [outcome] = writer.apply([[Change(POD, field, "", value)]])
        assert outcome.status in (Status.WRITTEN, Status.SAME)
        assert outcome.after == value
        assert [o.status for o in writer.apply([[Change(POD, field, "", value)]])] == [Status.SAME]


@BOTH
@pytest.mark.parametrize(
    ("field", "value"),
    [
        (fields.MEMORY_WMARK_RATIO, 101),
        (fields.MEMORY_WMARK_MIN_ADJ, -26),
        (fields.MEMORY_PRIORITY, 13),
        (fields.MEMORY_OOM_GROUP, 2),
        (fields.PAGE_CACHE_SIZE, -1),
        (fields.PAGE_CACHE_ENABLE, "yes"),
    ],
    ids=str,
)
def test_what_the_kernel_does_not_take_is_refused_and_changes_nothing(version: int, field: Field, value: Any) -> None:
    kernel, writer = kernel_and_writer(version)
    before = repr(kernel.cgroups)
    [outcome] = writer.apply([[Change(POD, field, "", value)]])
    assert outcome.status is Status.REFUSED
    assert repr(kernel.cgroups) == before


@pytest.mark.parametrize("field", [fields.MEMORY_MIN, fields.MEMORY_LOW, fields.MEMORY_HIGH], ids=lambda f: f.name)
def test_v1_of_alibaba_has_min_low_and_high(field: Field) -> None:
    kernel, writer = kernel_and_writer(1)
    [outcome] = writer.apply([[Change(POD, field, "", 3 * PAGE)]])
    assert (outcome.status, outcome.after) == (Status.WRITTEN, 3 * PAGE)
    assert kernel.log == [(f"{POD}/{field.name}", str(3 * PAGE))]


@BOTH
def test_a_mainline_kernel_has_none_of_them(version: int) -> None:
    kernel, writer = kernel_and_writer(version)
    kernel.alibaba = False
    there = {f for f in FILES if writer.read(POD, f).status is Status.SAME}
    assert there == ({fields.MEMORY_OOM_GROUP} if version == 2 else set())
