"""Limits of memory, which do not go below what is in use."""

from __future__ import annotations

import pytest

from koordnri.host.cgroup.change import Status
from koordnri.model import fields
from tests.host.cgroup.one_writer import BOTH, C1, POD, apply, change, kernel_and_writer, one
from tests.host.fake_kernel import NO_LIMIT, PAGE

MIB = 1 << 20


@BOTH
def test_a_limit_below_what_is_in_use_is_refused_unless_forced(version: int) -> None:
    kernel, writer = kernel_and_writer(version)
    kernel.cgroups[C1].usage = 9 * PAGE
    assert writer.usage_bytes(C1) == 9 * PAGE
    refused = one(writer, change(C1, fields.MEMORY_LIMIT, 8 * PAGE))
    assert refused.status is Status.REFUSED
    assert f"not set to {8 * PAGE}: {9 * PAGE} bytes are in use" in refused.error
    assert kernel.log == []
    assert one(writer, change(C1, fields.MEMORY_LIMIT, 9 * PAGE)).status is Status.WRITTEN
    forced = one(writer, change(C1, fields.MEMORY_LIMIT, 8 * PAGE, force=True))
    # v1 does not kill for it, but refuses; v2 obeys.
    assert forced.status is (Status.REFUSED if version == 1 else Status.WRITTEN)
    assert "EBUSY" in forced.error or version == 2


def test_memory_high_is_forced_below_what_is_in_use_only_when_it_is_asked_for() -> None:
    kernel, writer = kernel_and_writer(2)
    kernel.cgroups[C1].usage = 9 * PAGE
    assert one(writer, change(C1, fields.MEMORY_HIGH, 8 * PAGE)).status is Status.REFUSED
    assert kernel.violations == []
    assert one(writer, change(C1, fields.MEMORY_HIGH, 8 * PAGE, force=True)).status is Status.WRITTEN
    assert kernel.violations == [f"{C1}: tasks throttled"]


def test_memory_high_goes_down_with_what_is_in_use_and_never_below_it() -> None:
    kernel, writer = kernel_and_writer(2)
    cgroup = kernel.cgroups[C1]
    wanted = change(C1, fields.MEMORY_HIGH, 100 * MIB)
    for usage, expected in ((640, 660), (800, 660), (320, 330), (31, 100)):
        cgroup.usage = usage * MIB
        outcome = one(writer, wanted)
        assert cgroup.high == expected * MIB
        assert outcome.after == expected * MIB
        assert outcome.status is (Status.WRITTEN if expected == 100 else Status.REFUSED)
        if usage in (640, 320):
            assert f"bytes are in use, with a margin; set to {expected * MIB} for now; wait until" in outcome.error
    assert kernel.violations == []


@BOTH
def test_a_limit_grows_even_when_it_stays_below_what_is_in_use(version: int) -> None:
    kernel, writer = kernel_and_writer(2)
    kernel.cgroups[C1].usage = 9 * PAGE
    kernel.cgroups[C1].high = 5 * PAGE
    assert one(writer, change(C1, fields.MEMORY_HIGH, 6 * PAGE)).status is Status.WRITTEN


@pytest.mark.parametrize(
    ("limit", "swap", "wanted", "swap_after"),
    [
        pytest.param(8, 8, 16, 16, id="alike-they-grow-together"),
        pytest.param(8, 8, 4, 4, id="alike-they-shrink-together"),
        pytest.param(8, 12, 16, 16, id="pushed-up-where-it-is-in-the-way"),
        pytest.param(8, 12, 10, 12, id="swap-stays-allowed"),
        pytest.param(8, 12, 4, 12, id="swap-stays-when-shrinking"),
        pytest.param(8, None, 4, None, id="unlimited-stays"),
    ],
)
def test_v1s_limit_of_memory_and_swap_follows(
    limit: int, swap: int | None, wanted: int, swap_after: int | None
) -> None:
    kernel, writer = kernel_and_writer(1)
    cgroup = kernel.cgroups[C1]
    cgroup.limit, cgroup.swap = limit * PAGE, NO_LIMIT if swap is None else swap * PAGE
    assert one(writer, change(C1, fields.MEMORY_LIMIT, wanted * PAGE)).status is Status.WRITTEN
    assert cgroup.limit == wanted * PAGE
    assert cgroup.swap == (NO_LIMIT if swap_after is None else swap_after * PAGE)


def test_without_swap_accounting_the_limit_is_written_alone() -> None:
    kernel, writer = kernel_and_writer(1)
    kernel.missing.add("memory.memsw.limit_in_bytes")
    assert one(writer, change(C1, fields.MEMORY_LIMIT, PAGE)).status is Status.WRITTEN
    assert [path for path, _ in kernel.log] == [f"{C1}/memory.limit_in_bytes"]


def test_a_pods_limit_does_not_go_below_a_containers_that_is_in_use() -> None:
    kernel, writer = kernel_and_writer(2)
    for path in (POD, C1):
        kernel.cgroups[path].limit = 10 * PAGE
    # More in use by the container alone than its pod counts: memory that moved between the two looks.
    kernel.cgroups[C1].usage = 9 * PAGE
    outcomes = apply(writer, *(change(path, fields.MEMORY_LIMIT, 5 * PAGE) for path in (POD, C1)))
    assert {o.status for o in outcomes.values()} == {Status.REFUSED}
    assert kernel.log == []
