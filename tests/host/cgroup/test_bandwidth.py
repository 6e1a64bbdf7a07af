"""CPU bandwidth: quota, period and burst change as one."""

from __future__ import annotations

import pytest

from koordnri.host.cgroup.change import Status
from koordnri.model import fields
from tests.host.cgroup.one_writer import BOTH, C1, POD, apply, change, kernel_and_writer, one


@BOTH
@pytest.mark.parametrize(
    ("start", "wanted"),
    [
        pytest.param((50_000, 100_000, 0), (20_000, 50_000, 5_000), id="all-three"),
        pytest.param((50_000, 100_000, 50_000), (20_000, 100_000, 20_000), id="burst-shrinks-before-the-quota"),
        pytest.param((20_000, 100_000, 20_000), (50_000, 100_000, 50_000), id="burst-grows-after-the-quota"),
        pytest.param((-1, 100_000, 90_000), (50_000, 100_000, 0), id="a-quota-comes"),
        pytest.param((50_000, 100_000, 0), (-1, 100_000, 90_000), id="a-quota-goes"),
        pytest.param((90_000, 100_000, 0), (9_000, 10_000, 0), id="same-share-of-time-in-shorter-periods"),
        pytest.param((9_000, 10_000, 0), (90_000, 100_000, 0), id="same-share-of-time-in-longer-periods"),
    ],
)
def test_bandwidth_changes_as_a_whole_beneath_a_parent_with_the_same_share(
    version: int, start: tuple[int, int, int], wanted: tuple[int, int, int]
) -> None:
    kernel, writer = kernel_and_writer(version)
    # As much as the child may ever have: any detour above it is refused, or seen.
    kernel.cgroups[POD].quota = 90_000
    cgroup = kernel.cgroups[C1]
    cgroup.quota, cgroup.period, cgroup.burst = None if start[0] < 0 else start[0], start[1], start[2]
    outcomes = apply(
        writer,
        change(C1, fields.CPU_BURST, wanted[2]),
        change(C1, fields.CPU_QUOTA, wanted[0]),
        change(C1, fields.CPU_PERIOD, wanted[1]),
    )
    assert {o.status for o in outcomes.values()} <= {Status.WRITTEN, Status.SAME}, outcomes
    assert (-1 if cgroup.quota is None else cgroup.quota, cgroup.period, cgroup.burst) == wanted
    assert kernel.violations == []


def test_on_v2_quota_and_period_are_one_write() -> None:
    kernel, writer = kernel_and_writer(2)
    apply(writer, change(C1, fields.CPU_QUOTA, 20_000), change(C1, fields.CPU_PERIOD, 50_000))
    assert kernel.log == [(f"{C1}/cpu.max", "20000 50000")]


@BOTH
@pytest.mark.parametrize(("quota", "period"), [(60_000, 2_000_000), (999, 50_000)], ids=["period", "quota"])
def test_what_of_a_bandwidth_is_refused_leaves_all_of_it_as_it_was(version: int, quota: int, period: int) -> None:
    kernel, writer = kernel_and_writer(version)
    cgroup = kernel.cgroups[C1]
    cgroup.quota, cgroup.burst = 50_000, 5_000
    outcomes = apply(
        writer,
        change(C1, fields.CPU_QUOTA, quota),
        change(C1, fields.CPU_PERIOD, period),
        change(C1, fields.CPU_BURST, 500),
    )
    assert [o.status for o in outcomes.values()] == [Status.REFUSED, Status.REFUSED, Status.WRITTEN]
    assert (cgroup.quota, cgroup.period, cgroup.burst) == (50_000, 100_000, 500)


@BOTH
def test_a_quota_below_the_burst_is_refused_with_that_reason(version: int) -> None:
    kernel, writer = kernel_and_writer(version)
    kernel.cgroups[C1].quota, kernel.cgroups[C1].burst = 50_000, 30_000
    outcome = one(writer, change(C1, fields.CPU_QUOTA, 20_000))
    assert outcome.status is Status.REFUSED
    assert "cpu.burst" in outcome.error


@pytest.mark.parametrize(
    ("before", "wanted", "writes"),
    [
        pytest.param(10_000, -1, ["-1"], id="67-to-unlimited-in-the-first-pass"),
        pytest.param(None, 10_000, ["10000"], id="68-from-unlimited-in-the-second"),
    ],
)
def test_koordlets_vectors_of_the_quota(before: int | None, wanted: int, writes: list[str]) -> None:
    kernel, writer = kernel_and_writer(1)
    kernel.cgroups[POD].quota = before
    apply(writer, change(POD, fields.CPU_QUOTA, wanted), change(C1, fields.CPU_QUOTA, 9_000))
    assert [text for path, text in kernel.log if path.startswith(f"{POD}/cpu.")] == writes
    # Grown before the child is written, shrunk after it.
    assert kernel.log[0][0].startswith(POD if wanted < 0 else C1)
    assert kernel.violations == []
