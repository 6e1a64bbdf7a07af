"""One control file: what every answer of the kernel becomes in an outcome."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from koordnri.host.cgroup.change import Status
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Field, fields
from tests.host.cgroup.one_writer import BOTH, C1, C2, apply, change, kernel_and_writer, one
from tests.host.fake_kernel import PAGE


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


def test_the_hierarchy_of_cpu_and_cpuacct_is_found_without_its_link(tmp_path: Path) -> None:
    directory = tmp_path / "sys/fs/cgroup/cpu,cpuacct/a"
    directory.mkdir(parents=True)
    (directory / "cpu.shares").write_text("1024\n")
    assert Writer(tmp_path, 1).read("a", fields.CPU_SHARES).value == 1024


def test_nonsense_in_a_file_is_reported_with_its_path(tmp_path: Path) -> None:
    directory = tmp_path / "sys/fs/cgroup/a"
    directory.mkdir(parents=True)
    (directory / "memory.max").write_text("lots\n")
    reading = Writer(tmp_path, 2).read("a", fields.MEMORY_LIMIT)
    assert reading.status is Status.REFUSED
    assert reading.error == f"{directory}/memory.max: expected a number, got 'lots'"
