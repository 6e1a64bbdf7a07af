"""Real programs that behave, and real programs that do not."""

import time
from pathlib import Path

import pytest

from koordnri.v010.call import ProgramError
from koordnri.v010.process import MOST_OUTPUT_BYTES, run
from tests.support.waiting import eventually

FAR_S = 60.0


def program(directory: Path, text: str) -> Path:
    path = directory / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_it_gets_the_request_and_invoke_and_its_output_comes_back(tmp_path: Path) -> None:
    path = program(tmp_path, 'cat; echo "$1"; exit 4')
    assert run(path, b"asked ", time.monotonic() + FAR_S) == (b"asked invoke\n", 4)


def test_a_request_larger_than_a_pipe_arrives_whole(tmp_path: Path) -> None:
    path = program(tmp_path, "sleep 0.1; wc -c")
    assert run(path, b"x" * 300_000, time.monotonic() + FAR_S)[0].strip() == b"300000"


def test_a_program_may_answer_without_reading(tmp_path: Path) -> None:
    assert run(program(tmp_path, "echo done"), b"x" * 300_000, time.monotonic() + FAR_S)[0] == b"done\n"


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    path = program(tmp_path, f"sleep 1000 & echo $! > {tmp_path}/child; wait")
    with pytest.raises(ProgramError, match="not done in time"):
        run(path, b"", time.monotonic() + 2)
    child = int((tmp_path / "child").read_text())
    # It was sent SIGKILL; on a busy machine it ends a moment later.
    eventually(lambda: _has_ended(child), "the child to end")


def _has_ended(pid: int) -> bool:
    """Whether the process is gone, or a zombie that nobody waits for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def test_a_flood_is_cut(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=str(MOST_OUTPUT_BYTES)):
        run(program(tmp_path, "exec cat /dev/zero"), b"", time.monotonic() + FAR_S)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="cannot be started: No such file"):
        run(tmp_path / "missing", b"", time.monotonic() + FAR_S)
