"""The cgroup that keeps the one above it from a smaller quota is named."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from koordnri.host.cgroup import larger_below as module
from koordnri.host.cgroup.change import Status
from koordnri.host.cgroup.files import CgroupFiles
from koordnri.host.cgroup.larger_below import larger_below
from koordnri.model import fields
from tests.host.cgroup.one_writer import C1, POD, change, kernel_and_writer, one


def make(directory: Path, quota_us: int, period_us: int = 100_000) -> Path:
    directory.mkdir(parents=True)
    (directory / "cpu.cfs_quota_us").write_text(f"{quota_us}\n")
    (directory / "cpu.cfs_period_us").write_text(f"{period_us}\n")
    return directory


def found(top: Path, cpus: Fraction) -> str:
    return larger_below(CgroupFiles(), str(top), cpus)


def test_the_first_with_more_is_named_with_its_quota(tmp_path: Path) -> None:
    top = make(tmp_path / "besteffort", -1)
    make(top / "poda", 20_000)
    left = make(top / "podb", 25_000, 50_000)
    assert found(top, Fraction(1, 4)) == f"{left} has 25000 µs per 50000 µs; remove this cgroup if no pod runs there"
    assert found(top, Fraction(1, 2)) == ""


def test_below_one_without_a_quota_it_looks_further(tmp_path: Path) -> None:
    top = make(tmp_path / "besteffort", -1)
    make(top / "poda", -1)
    assert str(make(top / "poda" / "c", 90_000)) in found(top, Fraction(1, 2))
    # The kernel has refused this one below its own parent already.
    make(top / "podb", 10_000)
    make(top / "podb" / "c", 5_000)
    assert found(top, Fraction(9, 10)) == ""


def test_what_cannot_be_read_is_passed_over_and_the_search_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(tmp_path / "gone", Fraction(1)) == ""
    top = make(tmp_path / "besteffort", -1)
    (top / "half").mkdir()
    make(top / "odd", 1).joinpath("cpu.cfs_quota_us").write_text("?")
    make(top / "poda" / "x", -1).parent.joinpath("cpu.cfs_quota_us").write_text("-1")
    (top / "poda" / "cpu.cfs_period_us").write_text("100000")
    last = make(top / "poda" / "x" / "y", 90_000)
    assert str(last) in found(top, Fraction(1, 2))
    monkeypatch.setattr(module, "MOST", 2)
    assert found(top, Fraction(1, 2)) == ""


def test_a_refused_quota_says_who_has_more() -> None:
    kernel, writer = kernel_and_writer(1)
    kernel.cgroups[POD].quota, kernel.cgroups[C1].quota = 90_000, 50_000
    outcome = one(writer, change(POD, fields.CPU_QUOTA, 2_000))
    assert (outcome.status, kernel.cgroups[POD].quota) == (Status.REFUSED, 90_000)
    assert f"/{C1} has 50000 µs per 100000 µs; remove this cgroup" in outcome.error
    # For another reason nobody is named.
    assert "; " not in one(writer, change(C1, fields.CPU_QUOTA, 500)).error
