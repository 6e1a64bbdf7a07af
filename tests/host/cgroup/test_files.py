"""The edge to the cgroup files, on plain files: the considerate one does the same, and asks now and then whether it has to be."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from koordnri.host.cgroup.files import CgroupFiles, PacedFiles

FILES = 300


@pytest.mark.parametrize("beside", [True, False])
def test_paced_or_not_the_same_is_read(tmp_path: Path, beside: bool):
    asked = 0

    def ask() -> bool:
        nonlocal asked
        asked += 1
        return beside

    for number in range(FILES):
        (tmp_path / str(number)).write_text(f"{number}\n")
    files, began_s = PacedFiles(ask), time.perf_counter()
    texts = [files.read(str(tmp_path / str(number))) for number in range(FILES)]
    took_s = time.perf_counter() - began_s
    assert texts == [CgroupFiles().read(str(tmp_path / str(number))) for number in range(FILES)]
    assert 1 <= asked <= 1 + took_s / PacedFiles.EVERY_S, "once per interval, not once per file"
