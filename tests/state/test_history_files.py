"""The history's files: bounded, readable after a crash, and never in the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from structlog.testing import CapturingLogger

from koordnri.state import history_files
from koordnri.state.history_files import NAME, OLDER, HistoryFiles

LINES = [f'{{"n":{n}}}'.encode() for n in range(100)]


@pytest.fixture
def log() -> CapturingLogger:
    return CapturingLogger()


def files_in(directory: Path, log: CapturingLogger, most_bytes: int = 1000) -> HistoryFiles:
    return HistoryFiles(directory, log, most_bytes)


def test_lines_come_back_in_their_order_after_a_restart(tmp_path: Path, log: CapturingLogger) -> None:
    files = files_in(tmp_path / "absent", log)
    files.append(LINES[:2])
    files.append(LINES[2:4])
    assert list(files_in(tmp_path / "absent", log).lines()) == LINES[:4]
    assert not log.calls


def test_a_full_file_becomes_the_older_one_and_the_oldest_lines_go(tmp_path: Path, log: CapturingLogger) -> None:
    files = files_in(tmp_path, log, most_bytes=50)
    for line in LINES:
        files.append([line])
        assert all((tmp_path / name).stat().st_size <= 50 for name in (NAME, OLDER) if (tmp_path / name).exists())
    kept = list(files.lines())
    assert kept == LINES[-len(kept) :]
    assert len(kept) > 5
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME, OLDER]


@pytest.mark.parametrize(("most_bytes", "kept"), [(8, 0), (9, 1), (17, 1), (18, 2), (300, 33), (10_000, None)])
def test_the_tail_has_the_newest_whole_lines_of_both_files(
    tmp_path: Path, log: CapturingLogger, most_bytes: int, kept: int | None
) -> None:
    files = files_in(tmp_path, log, most_bytes=200)
    for line in LINES[:40]:
        files.append([line])
    everything = list(files.lines())
    assert files.tail(most_bytes) == (everything if kept is None else LINES[40 - kept : 40])


def test_a_line_that_a_crash_cut_off_spoils_no_other(tmp_path: Path, log: CapturingLogger) -> None:
    files = files_in(tmp_path, log)
    files.append(LINES[:1])
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'{"n":')
    files.append(LINES[1:2])
    assert list(files.lines()) == [LINES[0], b'{"n":', LINES[1]]


def test_what_cannot_be_written_is_reported_once_until_it_can_be(tmp_path: Path, log: CapturingLogger) -> None:
    files = files_in(tmp_path, log)
    (tmp_path / NAME).mkdir()
    files.append(LINES[:1])
    files.append(LINES[1:2])
    assert [call.method_name for call in log.calls] == ["warning"]
    assert files.problem == f"{tmp_path / NAME}: Is a directory"
    assert list(files.lines()) == files.tail(100) == []
    (tmp_path / NAME).rmdir()
    files.append(LINES[2:3])
    assert files.problem == ""
    assert list(files.lines()) == LINES[2:3]


def test_a_fifo_in_its_place_keeps_nobody_waiting(tmp_path: Path, log: CapturingLogger) -> None:
    os.mkfifo(tmp_path / NAME)
    files = files_in(tmp_path, log)
    files.append(LINES[:1])
    assert "plain file" in files.problem
    assert list(files.lines()) == files.tail(100) == []


def test_a_rotation_while_the_files_are_opened_shows_no_line_twice(
    tmp_path: Path, log: CapturingLogger, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_in(tmp_path, log)
    files.append(LINES[:3])
    opened = history_files.open_plain

    def opens_and_rotates(path: Path, *args: int) -> int:
        fd = opened(path, *args)
        if path.name == NAME:
            path.rename(tmp_path / OLDER)
        return fd

    monkeypatch.setattr(history_files, "open_plain", opens_and_rotates)
    assert list(files.lines()) == LINES[:3]
