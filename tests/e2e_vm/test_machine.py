"""The virtual machine itself: what a job leaves comes home, and one that hangs is ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e import lab
from tools.vm.machine import SHUTDOWN_S, lacks, run_job

pytestmark = [pytest.mark.e2e, pytest.mark.full]


@pytest.fixture(autouse=True)
def _machine_is_there() -> None:
    reason = lacks(lab.LAB_DIR)
    if reason is not None:
        (pytest.fail if lab.CI else pytest.skip)(reason)


def make_job(directory: Path, script: str) -> Path:
    directory.mkdir()
    (directory / "run").write_text(f"#!/bin/sh\n{script}\n")
    (directory / "run").chmod(0o755)
    (directory / "input").write_text("from outside")
    return directory


def test_exit_code_and_files_of_a_job_come_home(tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", "mkdir /out/deep; cat /job/input >/out/deep/file; echo printed; exit 7")

    code = run_job(lab.LAB_DIR, job, tmp_path / "out", 90, systemd=False)

    assert code == 7
    assert (tmp_path / "out/deep/file").read_text() == "from outside"
    assert "printed" in (tmp_path / "out/console.log").read_text()


def test_a_job_that_hangs_is_ended_and_its_files_come_home(tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", "echo before >/out/file; sleep 1000")

    code = run_job(lab.LAB_DIR, job, tmp_path / "out", SHUTDOWN_S + 3, systemd=False)

    assert code == 124
    assert (tmp_path / "out/file").read_text() == "before\n"
