"""The cgroup writer on a fake kernel that refuses what real ones refuse (test_host_writer_kernel.py has the machine's own)."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koordnri.host.cgroup.change import Change, Outcome, Status, by_level
from koordnri.host.cgroup.writer import Writer
from koordnri.model import CPUSet, Field, fields
from tests.examples import examples
from tests.host.fake_kernel import NO_LIMIT, PAGE, ROOT, FakeKernel

TOP = "kubepods"
POD = "kubepods/podX"
C1 = "kubepods/podX/c1"
C2 = "kubepods/podX/c2"
TREE = (TOP, POD, C1, C2)
BOTH = pytest.mark.parametrize("version", [1, 2])


def change(directory: str, field: Field, value: Any, key: str = "", force: bool = False) -> Change:
    return Change(directory, field, key, value, force)


def kernel_and_writer(version: int) -> tuple[FakeKernel, Writer]:
    kernel = FakeKernel(version, TREE)
    return kernel, Writer(ROOT, version, kernel)


def apply(writer: Writer, *changes: Change) -> dict[tuple[str, Field], Outcome]:
    outcomes = writer.apply(by_level(changes))
    return {(o.change.directory, o.change.field): o for o in outcomes}


def one(writer: Writer, the_change: Change) -> Outcome:
    (outcome,) = writer.apply([[the_change]])
    return outcome


# what comes of a single change


@pytest.mark.parametrize(
    ("version", "field", "key", "value", "before", "after"),
    [
        (1, fields.CPU_QUOTA, "", 50_000, -1, 50_000),
        (2, fields.CPU_QUOTA, "", 50_000, -1, 50_000),
        (1, fields.CPU_PERIOD, "", 50_000, 100_000, 50_000),
        (2, fields.CPU_PERIOD, "", 50_000, 100_000, 50_000),
        (1, fields.CPU_BURST, "", 5_000, 0, 5_000),
        (2, fields.CPU_BURST, "", 5_000, 0, 5_000),
        (1, fields.CPU_SHARES, "", 512, 1024, 512),
        (2, fields.CPU_SHARES, "", 512, 2598, 501),
        (1, fields.CPU_CPUS, "", "1,2", "0,1,2,3,4,5,6,7", "1,2"),
        (2, fields.CPU_CPUS, "", "1-2", "", "1,2"),
        (1, fields.MEMORY_LIMIT, "", 10 * PAGE + 7, -1, 10 * PAGE),
        (2, fields.MEMORY_LIMIT, "", 10 * PAGE + 7, -1, 10 * PAGE),
        (2, fields.MEMORY_HIGH, "", 3 * PAGE, -1, 3 * PAGE),
        (2, fields.MEMORY_MIN, "", 3 * PAGE, 0, 3 * PAGE),
        (2, fields.MEMORY_LOW, "", -1, 0, -1),
        (2, fields.IO_MAX, "8:0", "rbps=1024", "rbps=max wbps=max riops=max wiops=max", "rbps=1024 wbps=max riops=max wiops=max"),
        (2, fields.IO_WEIGHT, "8:0", 50, "default", 50),
        (2, fields.IO_WEIGHT, "", 50, 100, 50),
    ],
)  # fmt: skip
def test_a_change_is_written_once_and_then_same(
    version: int, field: Field, key: str, value: Any, before: Any, after: Any
) -> None:
    kernel, writer = kernel_and_writer(version)
    wanted = change(C1, field, value, key)
    assert one(writer, wanted) == Outcome(wanted, Status.WRITTEN, before, after)
    written = list(kernel.log)
    assert written
    assert one(writer, wanted) == Outcome(wanted, Status.SAME, after, after)
    assert kernel.log == written
    assert writer.read(C1, field, key).value == after


def test_disks_do_not_touch_each_other() -> None:
    _, writer = kernel_and_writer(2)
    for disk, limit in (("8:0", "rbps=5"), ("8:16", "wiops=7"), ("8:0", "rbps=max wbps=9")):
        assert one(writer, change(C1, fields.IO_MAX, limit, disk)).status is Status.WRITTEN
    assert writer.read(C1, fields.IO_MAX, "8:0").value == "rbps=max wbps=9 riops=max wiops=max"
    assert writer.read(C1, fields.IO_MAX, "8:16").value == "rbps=max wbps=max riops=max wiops=7"
    assert one(writer, change(C1, fields.IO_MAX, "wbps=max", "8:0")).status is Status.WRITTEN
    assert writer.read(C1, fields.IO_MAX, "8:0").value == "rbps=max wbps=max riops=max wiops=max"


def test_a_cpuset_in_which_processes_run_cannot_be_cleared_on_v2_either() -> None:
    kernel, writer = kernel_and_writer(2)
    kernel.cgroups[C1].cpus = frozenset({1})
    outcome = one(writer, change(C1, fields.CPU_CPUS, ""))
    assert outcome.status is Status.REFUSED
    assert "processes run in it" in outcome.error
    assert kernel.cgroups[C1].cpus == {1}


def test_a_weight_that_a_newer_runc_has_written_is_left_alone() -> None:
    kernel, writer = kernel_and_writer(2)
    kernel.cgroups[C1].weight = 59
    assert one(writer, change(C1, fields.CPU_SHARES, 512)).status is Status.SAME
    kernel.cgroups[C1].weight = 58
    assert one(writer, change(C1, fields.CPU_SHARES, 512)).status is Status.WRITTEN
    assert kernel.cgroups[C1].weight == 20


@BOTH
@pytest.mark.parametrize("field", [fields.CPU_QUOTA, fields.MEMORY_LIMIT, fields.CPU_CPUS])
def test_a_cgroup_that_is_gone_is_no_error_of_the_others(version: int, field: Field) -> None:
    _, writer = kernel_and_writer(version)
    value = "1" if field is fields.CPU_CPUS else 40_960
    outcomes = apply(
        writer, change(C2, field, value), change("kubepods/gone/c", field, value), change(C1, field, value)
    )
    assert [o.status for o in outcomes.values()] == [Status.WRITTEN, Status.GONE, Status.WRITTEN]
    gone = outcomes["kubepods/gone/c", field]
    assert gone.error.endswith("/kubepods/gone/c: no such cgroup")
    assert (gone.before, gone.after) == (None, None)
    assert writer.read("kubepods/gone/c", field)[:2] == (None, Status.GONE)


@pytest.mark.parametrize(
    ("version", "field", "error"),
    [
        (1, fields.MEMORY_HIGH, "memory.high: no such file: kernel or controllers do not offer it"),
        (1, fields.IO_MAX, "cgroup v1 has no file for io.max"),
        (2, fields.ENV, "cgroup v2 has no file for env"),
        (2, fields.MEMORY_HIGH, "memory.high: no such file: kernel or controllers do not offer it"),
    ],
)
def test_a_field_without_file_is_unsupported(version: int, field: Field, error: str) -> None:
    kernel, writer = kernel_and_writer(version)
    kernel.missing.add("memory.high")
    outcome = one(writer, change(C1, field, 5, "8:0"))
    assert outcome.status is Status.UNSUPPORTED
    assert outcome.error.endswith(error)
    assert kernel.log == []


def test_io_weight_falls_back_to_bfq(tmp_path: Path) -> None:
    directory = tmp_path / "sys/fs/cgroup/a"
    directory.mkdir(parents=True)
    (directory / "io.bfq.weight").write_text("default 100\n")
    assert one(Writer(tmp_path, 2), change("a", fields.IO_WEIGHT, 50)).status is Status.WRITTEN
    assert (directory / "io.bfq.weight").read_text() == "default 50"


@pytest.mark.parametrize(
    ("version", "field", "key", "value", "error"),
    [
        (1, fields.CPU_QUOTA, "", 999, r"cpu.cfs_quota_us: the kernel refuses '999': Invalid argument \(EINVAL\): more than"),
        (2, fields.CPU_QUOTA, "", 999, r"cpu.max: the kernel refuses '999 100000': Invalid argument \(EINVAL\): more than"),
        (1, fields.CPU_PERIOD, "", 5, r"cpu.cfs_period_us: the kernel refuses '5': .*1000\.\.1000000"),
        (2, fields.CPU_CPUS, "", "9", r"cpuset.cpus: the kernel refuses '9': Invalid argument \(EINVAL\): not online"),
        (2, fields.IO_MAX, "9:9", "rbps=5", r"io.max: .*9:9 rbps=5.* \(ENODEV\): there is no such disk"),
        (2, fields.CPU_QUOTA, "", "many", "cpu.max: cpu.quota: expected a whole number, got 'many'"),
        (2, fields.CPU_CPUS, "", "7-1", "cpuset.cpus: cpu.cpus: .*expected start <= end"),
        (2, fields.MEMORY_LIMIT, "", None, "memory.max: memory.limit: expected a whole number, got None"),
        (2, fields.IO_MAX, "/dev/sda", "rbps=5", "io.max: expected a disk as major:minor, got '/dev/sda'"),
    ],
)  # fmt: skip
def test_a_refusal_names_path_value_and_reason_and_changes_nothing(
    version: int, field: Field, key: str, value: Any, error: str
) -> None:
    kernel, writer = kernel_and_writer(version)
    before = repr(kernel.cgroups)
    outcome = one(writer, change(C1, field, value, key))
    assert outcome.status is Status.REFUSED
    assert outcome.before == outcome.after
    assert repr(kernel.cgroups) == before
    with pytest.raises(AssertionError, match=error):
        raise AssertionError(outcome.error)


def test_what_the_kernel_does_not_support_for_a_disk_is_unsupported() -> None:
    _, writer = kernel_and_writer(2)
    outcome = one(writer, change(C1, fields.IO_WEIGHT, 5, "9:9"))
    assert outcome.status is Status.UNSUPPORTED
    assert "the kernel refuses '9:9 5': Operation not supported" in outcome.error


@pytest.mark.parametrize("directory", ["", "/etc", "../../etc", "kubepods/../../x", "kubepods/\0"])
@BOTH
def test_no_path_leads_out_of_the_cgroups(version: int, directory: str) -> None:
    _, writer = kernel_and_writer(version)
    outcome = one(writer, change(directory, fields.CPU_QUOTA, 5_000))
    assert outcome.status is Status.REFUSED
    assert "expected a path below the cgroup root" in outcome.error
    assert writer.read(directory, fields.CPU_QUOTA).status is Status.REFUSED
    assert writer.usage_bytes(directory) is None


def test_two_values_for_one_file_are_a_mistake_of_the_caller() -> None:
    kernel, writer = kernel_and_writer(2)
    with pytest.raises(ValueError, match=r"kubepods/podX/c1: expected one change of cpu.quota, got two"):
        writer.apply([[change(C1, fields.CPU_QUOTA, 5_000)], [change(C1, fields.CPU_QUOTA, 6_000)]])
    assert kernel.log == []


# others write, too


@BOTH
def test_a_value_that_somebody_changes_back_has_drifted(version: int) -> None:
    kernel, writer = kernel_and_writer(version)

    def change_back(path: str, text: str) -> None:
        kernel.cgroups[C1].quota = 77_000

    kernel.after_write = change_back
    outcome = one(writer, change(C1, fields.CPU_QUOTA, 50_000))
    assert (outcome.status, outcome.after) == (Status.DRIFTED_BACK, 77_000)
    assert "expected 50000 to read back after it was written, got 77000" in outcome.error


@BOTH
@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENODEV])
def test_a_cgroup_that_vanishes_while_it_is_written_is_gone(version: int, number: int) -> None:
    kernel, writer = kernel_and_writer(version)

    def vanish(path: str, text: str) -> None:
        del kernel.cgroups[C1]
        raise OSError(number, os.strerror(number))

    kernel.before_write = vanish
    outcome = one(writer, change(C1, fields.MEMORY_LIMIT, PAGE))
    assert (outcome.status, outcome.before, outcome.after) == (Status.GONE, -1, None)


def test_a_cgroup_that_vanishes_after_it_was_written_is_gone() -> None:
    kernel, writer = kernel_and_writer(2)
    kernel.after_write = lambda path, text: kernel.cgroups.clear()
    assert one(writer, change(C1, fields.MEMORY_LIMIT, PAGE)).status is Status.GONE


# memory in use


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


MIB = 1 << 20


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


# quota, period and burst of one cgroup


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


# parents and children


@BOTH
def test_growth_comes_to_the_parent_first_and_shrinking_to_the_child_first(version: int) -> None:
    kernel, writer = kernel_and_writer(version)
    for path in TREE:
        kernel.cgroups[path].quota = 50_000
    grow = apply(writer, *(change(path, fields.CPU_QUOTA, 80_000) for path in TREE))
    assert {o.status for o in grow.values()} == {Status.WRITTEN}
    assert [path.rpartition("/")[0] for path, _ in kernel.log] == [TOP, POD, C1, C2]
    kernel.log.clear()
    shrink = apply(writer, *(change(path, fields.CPU_QUOTA, 30_000) for path in TREE))
    assert {o.status for o in shrink.values()} == {Status.WRITTEN}
    assert [path.rpartition("/")[0] for path, _ in kernel.log] == [C1, C2, POD, TOP]
    assert kernel.violations == []


@BOTH
def test_a_cpuset_moves_through_the_union_above_and_directly_at_the_bottom(version: int) -> None:
    kernel, writer = kernel_and_writer(version)
    for path in (POD, C1, C2):
        kernel.cgroups[path].cpus = frozenset({0, 1} if path != C2 else ())
    outcomes = apply(writer, change(POD, fields.CPU_CPUS, "2-3"), change(C1, fields.CPU_CPUS, "3"))
    assert {o.status for o in outcomes.values()} == {Status.WRITTEN}
    assert kernel.log == [
        (f"{POD}/cpuset.cpus", "0-3"),
        (f"{C1}/cpuset.cpus", "3"),
        (f"{POD}/cpuset.cpus", "2-3"),
    ]
    assert kernel.violations == []


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


@pytest.mark.parametrize("field", [fields.MEMORY_MIN, fields.MEMORY_LOW, fields.MEMORY_LIMIT, fields.MEMORY_HIGH])
def test_v2s_memory_is_leveled_though_the_kernel_would_not_mind(field: Field) -> None:
    kernel, writer = kernel_and_writer(2)
    for factor in (4, 2, 8):
        wanted = {path: factor * PAGE * (4 - path.count("/")) for path in TREE}
        outcomes = apply(writer, *(change(path, field, value) for path, value in wanted.items()))
        assert {path: o.after for (path, _), o in outcomes.items()} == wanted
    assert kernel.violations == []


@pytest.mark.parametrize(
    ("before", "wanted"), [pytest.param(2 * MIB, MIB, id="v70-less"), pytest.param(MIB, 2 * MIB, id="v70-more")]
)
@pytest.mark.parametrize("field", [fields.MEMORY_MIN, fields.MEMORY_LOW])
def test_what_is_protected_is_written_once_more_from_above_and_less_from_below(
    field: Field, before: int, wanted: int
) -> None:
    kernel, writer = kernel_and_writer(2)
    tree = (TOP, POD, C1)
    apply(writer, *(change(path, field, before) for path in tree))
    kernel.log.clear()
    apply(writer, *(change(path, field, wanted) for path in tree))
    order = tree if wanted > before else tree[::-1]
    assert kernel.log == [(f"{path}/{field.name}", str(wanted)) for path in order]


def test_siblings_that_are_to_have_less_make_room_for_those_that_are_to_have_more() -> None:
    kernel, writer = kernel_and_writer(2)
    kernel.sums = True
    for own in ({TOP: 10, POD: 10, C1: 2, C2: 8}, {TOP: 10, POD: 10, C1: 8, C2: 2}, {TOP: 9, POD: 5, C1: 0, C2: 5}):
        outcomes = apply(writer, *(change(path, fields.MEMORY_MIN, pages * PAGE) for path, pages in own.items()))
        assert {path: o.after for (path, _), o in outcomes.items()} == {p: pages * PAGE for p, pages in own.items()}
    assert kernel.violations == []


@st.composite
def shared(draw: st.DrawFn) -> dict[str, int]:
    """Pages of memory.min of a tree in which what children have adds up to no more than their parent has."""
    tree: dict[str, int] = {}
    for name in NAMES:
        parent = name.rpartition("/")[0]
        left = tree[parent] - sum(v for p, v in tree.items() if p.rpartition("/")[0] == parent) if parent else 99
        tree[name] = draw(st.integers(0, left))
    return tree


@given(data=st.data(), field=st.sampled_from([fields.MEMORY_MIN, fields.MEMORY_LOW]))
@settings(deadline=None)
def test_at_no_instant_are_children_together_protected_by_more_than_their_parent(
    data: st.DataObject, field: Field
) -> None:
    kernel = FakeKernel(2, NAMES)
    kernel.sums = True
    writer = Writer(ROOT, 2, kernel)
    for _ in range(3):
        tree = data.draw(shared())
        before = len(kernel.log)
        outcomes = apply(writer, *(change(path, field, pages * PAGE) for path, pages in tree.items()))
        assert {path: o.after for (path, _), o in outcomes.items()} == {p: pages * PAGE for p, pages in tree.items()}
        # Each at most once: nobody has less for a moment than before and after.
        paths = [path for path, _ in kernel.log[before:]]
        assert len(paths) == len(set(paths))
    assert kernel.violations == []


STUCK_ABOVE: list[tuple[Field, Any, Any]] = [
    (fields.CPU_QUOTA, 50_000, 80_000),
    (fields.CPU_CPUS, "0-1", "0-3"),
    (fields.MEMORY_LIMIT, 10 * PAGE, 20 * PAGE),
]


def refuse(directory: str) -> Callable[[str, str], None]:
    def refused(path: str, text: str) -> None:
        if path.rpartition("/")[0].endswith(f"/{directory}"):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    return refused


@BOTH
@pytest.mark.parametrize(("field", "small", "large"), STUCK_ABOVE)
def test_no_child_grows_beyond_a_parent_that_could_not(version: int, field: Field, small: Any, large: Any) -> None:
    kernel, writer = kernel_and_writer(version)
    apply(writer, *(change(path, field, small) for path in (POD, C1, C2)))
    kernel.before_write = refuse(POD)
    outcomes = apply(writer, *(change(path, field, large) for path in (POD, C1)), change(C2, field, small))
    assert {path: o.status for (path, _), o in outcomes.items()} == {
        POD: Status.REFUSED,
        C1: Status.REFUSED,
        C2: Status.SAME,
    }
    assert "EPERM" in outcomes[POD, field].error
    assert f"{POD} above could not be changed and keeps" in outcomes[C1, field].error
    assert kernel.violations == []


@BOTH
@pytest.mark.parametrize(("field", "small"), [(fields.CPU_QUOTA, 50_000), (fields.MEMORY_LIMIT, 10 * PAGE)])
def test_a_child_may_lose_its_own_limit_below_a_parent_that_keeps_one(version: int, field: Field, small: int) -> None:
    kernel, writer = kernel_and_writer(version)
    apply(writer, *(change(path, field, small) for path in (POD, C1)))
    kernel.before_write = refuse(POD)
    outcomes = apply(writer, *(change(path, field, -1) for path in (POD, C1)))
    assert [o.status for o in outcomes.values()] == [Status.REFUSED, Status.WRITTEN]


@BOTH
@pytest.mark.parametrize(("field", "small"), [(fields.CPU_QUOTA, 50_000), (fields.MEMORY_LIMIT, 10 * PAGE)])
def test_unset_is_wide_above_as_well(version: int, field: Field, small: int) -> None:
    kernel, writer = kernel_and_writer(version)
    apply(writer, *(change(path, field, small) for path in (POD, C1)))
    outcomes = apply(writer, change(POD, field, 0), change(C1, field, 2 * small))
    assert [o.status for o in outcomes.values()] == [Status.WRITTEN, Status.WRITTEN]
    assert kernel.violations == []


@BOTH
@pytest.mark.parametrize(("field", "small", "large"), STUCK_ABOVE)
def test_no_parent_shrinks_below_a_child_that_would_not(version: int, field: Field, small: Any, large: Any) -> None:
    kernel, writer = kernel_and_writer(version)
    apply(writer, *(change(path, field, large) for path in (POD, C1, C2)))
    kernel.before_write = refuse(C1)
    outcomes = apply(writer, *(change(path, field, small) for path in (POD, C1, C2)))
    assert {path: o.status for (path, _), o in outcomes.items()} == {
        POD: Status.REFUSED,
        C1: Status.REFUSED,
        C2: Status.WRITTEN,
    }
    assert f"{C1} below could not be changed and keeps" in outcomes[POD, field].error
    assert kernel.violations == []


def test_no_parent_shrinks_below_a_child_that_drifted_back() -> None:
    kernel, writer = kernel_and_writer(2)
    for path in (POD, C1):
        kernel.cgroups[path].limit = 10 * PAGE

    def change_back(path: str, text: str) -> None:
        kernel.cgroups[C1].limit = 10 * PAGE

    kernel.after_write = change_back
    outcomes = apply(writer, *(change(path, fields.MEMORY_LIMIT, 5 * PAGE) for path in (POD, C1)))
    assert {path: o.status for (path, _), o in outcomes.items()} == {POD: Status.REFUSED, C1: Status.DRIFTED_BACK}
    assert kernel.cgroups[POD].limit == 10 * PAGE


def test_a_pods_limit_does_not_go_below_a_containers_that_is_in_use() -> None:
    kernel, writer = kernel_and_writer(2)
    for path in (POD, C1):
        kernel.cgroups[path].limit = 10 * PAGE
    # More in use by the container alone than its pod is told to count: memory that moved between the two looks.
    kernel.cgroups[C1].usage = 9 * PAGE
    outcomes = apply(writer, *(change(path, fields.MEMORY_LIMIT, 5 * PAGE) for path in (POD, C1)))
    assert {o.status for o in outcomes.values()} == {Status.REFUSED}
    assert kernel.log == []


# any start, any goal

NAMES = ("k", "k/b", "k/b/p1", "k/b/p1/c1", "k/b/p1/c2", "k/b/p2", "k/b/p2/c1")
Values = dict[str, dict[Field, Any]]


@st.composite
def consistent(draw: st.DrawFn, memory: bool) -> Values:
    """Values of a tree where no child has more than its parents; -1 of a child is its parent's."""
    tree: Values = {}
    for path in NAMES:
        parent = tree.get(path.rpartition("/")[0])
        period = draw(st.sampled_from([50_000, 100_000, 200_000]))
        quota = draw(st.integers(1, 80).map(lambda n: n * 2_500) | st.just(-1))
        limits = [(tree[p][fields.CPU_QUOTA], tree[p][fields.CPU_PERIOD]) for p in NAMES if path.startswith(p + "/")]
        for above, its_period in limits:
            if quota > 0 and above > 0:
                quota = min(quota, above * period // its_period)
        if 0 < quota < 1_000:
            quota = -1
        cpus = draw(st.frozensets(st.integers(0, 7), min_size=1))
        if parent is not None:
            inside = CPUSet.parse(parent[fields.CPU_CPUS])
            cpus = frozenset(CPUSet(cpus) & inside) or frozenset(inside)
        values: dict[Field, Any] = {
            fields.CPU_QUOTA: quota,
            fields.CPU_PERIOD: period,
            fields.CPU_CPUS: str(CPUSet(cpus)),
            fields.CPU_SHARES: draw(st.integers(2, 262_144)),
            fields.MEMORY_LIMIT: draw(st.integers(1, 50)) * PAGE,
        }
        if memory:
            for field in (fields.MEMORY_HIGH, fields.MEMORY_MIN, fields.MEMORY_LOW):
                values[field] = draw(st.integers(0 if field is not fields.MEMORY_HIGH else 1, 50)) * PAGE
        for field in (fields.MEMORY_LIMIT, fields.MEMORY_HIGH, fields.MEMORY_MIN, fields.MEMORY_LOW):
            if parent is not None and field in values:
                values[field] = min(values[field], parent[field])
        tree[path] = values
    return tree


def start(kernel: FakeKernel, tree: Values) -> None:
    for path, values in tree.items():
        cgroup = kernel.cgroups[path]
        quota = values[fields.CPU_QUOTA]
        cgroup.quota, cgroup.period = None if quota < 0 else quota, values[fields.CPU_PERIOD]
        cgroup.cpus = frozenset(CPUSet.parse(values[fields.CPU_CPUS])) or (None if kernel.version == 2 else frozenset())
        cgroup.shares = values[fields.CPU_SHARES]
        cgroup.limit = cgroup.swap = values[fields.MEMORY_LIMIT]
        cgroup.high = values.get(fields.MEMORY_HIGH, NO_LIMIT)
        cgroup.min, cgroup.low = values.get(fields.MEMORY_MIN, 0), values.get(fields.MEMORY_LOW, 0)


def changes_to(tree: Values, some: frozenset[str] = frozenset(NAMES)) -> list[Change]:
    return [change(path, field, value) for path in tree if path in some for field, value in tree[path].items()]


@given(version=st.sampled_from([1, 2]), data=st.data())
@settings(deadline=None, max_examples=examples(100))
def test_from_any_state_to_any_other_no_child_ever_exceeds_its_parent(version: int, data: st.DataObject) -> None:
    old = data.draw(consistent(memory=version == 2))
    new = data.draw(consistent(memory=version == 2))
    kernel = FakeKernel(version, NAMES)
    start(kernel, old)
    writer = Writer(ROOT, version, kernel)
    outcomes = writer.apply(by_level(changes_to(new)))
    assert [o for o in outcomes if o.status not in (Status.WRITTEN, Status.SAME)] == []
    assert kernel.violations == []
    for path, values in new.items():
        for field, value in values.items():
            read = writer.read(path, field)
            if field is fields.CPU_SHARES and version == 2:
                continue  # a weight; spelling's tests have that
            assert field.same(read.value, value), (path, field)
    kernel.log.clear()
    assert {o.status for o in writer.apply(by_level(changes_to(new)))} == {Status.SAME}
    assert kernel.log == []


@given(data=st.data())
@settings(deadline=None, max_examples=examples(60))
def test_from_an_inconsistent_state_of_v2_the_goal_is_reached_too(data: st.DataObject) -> None:
    old = {path: data.draw(consistent(memory=True))[path] for path in NAMES[:4]}
    new = data.draw(consistent(memory=True))
    kernel = FakeKernel(2, NAMES)
    start(kernel, old)
    outcomes = Writer(ROOT, 2, kernel).apply(by_level(changes_to(new)))
    assert {o.status for o in outcomes} <= {Status.WRITTEN, Status.SAME}
    kernel.violations.clear()
    kernel.write(f"{ROOT}/sys/fs/cgroup/k/cpu.weight", "1")
    assert kernel.violations == []


@given(version=st.sampled_from([1, 2]), data=st.data())
@settings(deadline=None, max_examples=examples(100))
def test_whatever_is_refused_no_child_exceeds_its_parent(version: int, data: st.DataObject) -> None:
    """Cgroups that refuse every write, vanish or are in use: the rest is brought about as far as it goes."""
    old = data.draw(consistent(memory=version == 2))
    new = data.draw(consistent(memory=version == 2))
    stubborn = data.draw(st.frozensets(st.sampled_from(NAMES), min_size=1))
    vanishing = data.draw(st.frozensets(st.sampled_from(NAMES[3:])))
    after = data.draw(st.integers(0, 20))
    kernel = FakeKernel(version, NAMES)
    start(kernel, old)

    def trouble(path: str, text: str) -> None:
        if len(kernel.log) >= after:
            for name in vanishing:
                kernel.cgroups.pop(name, None)
        if path.rpartition("/")[0].endswith(tuple("/" + name for name in stubborn)):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    kernel.before_write = trouble
    writer = Writer(ROOT, version, kernel)
    outcomes = writer.apply(by_level(changes_to(new)))
    assert kernel.violations == []
    for outcome in outcomes:
        at = outcome.change.directory
        match outcome.status:
            case Status.GONE:
                assert at in vanishing
            case Status.REFUSED:
                assert "EPERM" in outcome.error or "could not be changed" in outcome.error
            case _:
                assert outcome.status in (Status.WRITTEN, Status.SAME)


# a tree of plain files, as simulations and benchmarks use


def test_a_tree_of_plain_files_serves_as_well(tmp_path: Path) -> None:
    directory = tmp_path / "sys/fs/cgroup/a"
    directory.mkdir(parents=True)
    (directory / "cpu.max").write_text("max 100000\n")
    (directory / "memory.max").write_text("12345678901234\n")
    writer = Writer(tmp_path, 2)
    wanted = [
        change("a", fields.CPU_QUOTA, 1000),
        change("a", fields.MEMORY_LIMIT, PAGE),
        change("a", fields.MEMORY_HIGH, 5),
    ]
    assert [o.status for o in writer.apply([wanted])] == [Status.WRITTEN, Status.WRITTEN, Status.UNSUPPORTED]
    assert (directory / "cpu.max").read_text() == "1000 100000"
    assert (directory / "memory.max").read_text() == str(PAGE)
    # No file is ever created, for a cgroup's files are the kernel's.
    assert sorted(os.listdir(directory)) == ["cpu.max", "memory.max"]


def test_the_hierarchy_of_cpu_and_cpuacct_is_found_without_its_link(tmp_path: Path) -> None:
    directory = tmp_path / "sys/fs/cgroup/cpu,cpuacct/a"
    directory.mkdir(parents=True)
    (directory / "cpu.shares").write_text("1024\n")
    assert Writer(tmp_path, 1).read("a", fields.CPU_SHARES).value == 1024


def test_a_file_longer_than_one_read_is_read_whole(tmp_path: Path) -> None:
    directory = tmp_path / "sys/fs/cgroup/a"
    directory.mkdir(parents=True)
    lines = [f"8:{n} rbps={n + 1} wbps=max riops=max wiops=max\n" for n in range(2000)]
    (directory / "io.max").write_text("".join(lines))
    assert Writer(tmp_path, 2).read("a", fields.IO_MAX, "8:1999").value == "rbps=2000 wbps=max riops=max wiops=max"


def test_nonsense_in_a_file_is_told_with_its_path(tmp_path: Path) -> None:
    directory = tmp_path / "sys/fs/cgroup/a"
    directory.mkdir(parents=True)
    (directory / "memory.max").write_text("lots\n")
    reading = Writer(tmp_path, 2).read("a", fields.MEMORY_LIMIT)
    assert reading.status is Status.REFUSED
    assert reading.error == f"{directory}/memory.max: expected a number, got 'lots'"


def test_levels_are_told_by_depth() -> None:
    changes = [change(path, fields.CPU_QUOTA, 1) for path in (C1, TOP, C2, POD)]
    assert [[c.directory for c in level] for level in by_level(changes)] == [[TOP], [POD], [C1, C2]]
