"""Small files of the host: what is read, and what a problem says."""

from __future__ import annotations

from pathlib import Path

import pytest

from koordnri.host.files import SYSFS_BYTES, HostFiles
from koordnri.model import CPUSet


@pytest.fixture
def files(tmp_path: Path) -> HostFiles:
    (tmp_path / "sys").mkdir()
    return HostFiles(tmp_path)


def put(files: HostFiles, content: bytes) -> str:
    Path(files.path("sys/x")).write_bytes(content)
    return "sys/x"


def test_a_file_that_is_missing_is_none_and_no_problem(files: HostFiles) -> None:
    assert (files.text("sys/x"), files.number("sys/x"), files.cpus("sys/x/y"), files.entries("sys/x")) == (None,) * 4
    assert files.problems == []


def test_text_is_without_the_space_around_it(files: HostFiles) -> None:
    assert files.text(put(files, b" a b\n")) == "a b"
    assert files.text(put(files, b"\xff")) == "\ufffd"
    assert len(files.text(put(files, b"x" * (SYSFS_BYTES + 1))) or "") == SYSFS_BYTES


@pytest.mark.parametrize(("content", "base", "expected"), [(b"-1\n", 10, -1), (b"7ff", 16, 0x7FF), (b"12 ", 10, 12)])
def test_a_number(files: HostFiles, content: bytes, base: int, expected: int) -> None:
    assert files.number(put(files, content), base) == expected
    assert files.problems == []


@pytest.mark.parametrize("content", [b"", b"x", b"1_0", "١".encode(), b"9" * 21])
def test_what_is_no_number_is_a_problem_with_path_and_value(files: HostFiles, content: bytes) -> None:
    assert files.number(put(files, content)) is None
    (problem,) = files.problems
    assert problem == f'{files.path("sys/x")}: expected a number, got "{content.decode()}"'


def test_cpus(files: HostFiles) -> None:
    assert files.cpus(put(files, b"0-2,5\n")) == CPUSet([0, 1, 2, 5])
    assert files.cpus(put(files, b"2-")) is None
    assert files.problems[0].startswith(f"{files.path('sys/x')}: ")


def test_directories_are_reported_from_other_entries_through_links(files: HostFiles, tmp_path: Path) -> None:
    (tmp_path / "sys/d").mkdir()
    (tmp_path / "sys/link").symlink_to("d")
    put(files, b"")
    directories, others = files.entries("sys") or ([], [])
    assert (sorted(directories), others) == (["d", "link"], ["x"])


def test_a_directory_in_place_of_a_file_is_a_problem(files: HostFiles) -> None:
    assert files.text("sys") is None
    assert files.problems == [f"{files.path('sys')}: cannot be read: Is a directory"]


def test_a_long_value_is_shown_in_part(files: HostFiles) -> None:
    files.bad("sys/x", "y" * 1000, "a number")
    files.missing("sys/z", "CPUs")
    assert len(files.problems[0]) < len(files.path("sys/x")) + 100
    assert files.problems[1] == f"{files.path('sys/z')}: expected CPUs, found nothing"
