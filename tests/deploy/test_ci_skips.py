"""In CI a skip of any kind fails the run; elsewhere it stays a skip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SKIPS = {
    "mark": "import pytest\n@pytest.mark.skip(reason='no runtime')\ndef test_x(): pass",
    "condition": "import pytest\n@pytest.mark.skipif(True, reason='no runtime')\ndef test_x(): pass",
    "call": "import pytest\ndef test_x(): pytest.skip('no runtime')",
    "fixture": "import pytest\n@pytest.fixture\ndef f(): pytest.skip('no runtime')\ndef test_x(f): pass",
    "module": "import pytest\npytest.skip('no runtime', allow_module_level=True)",
}
NOT_SKIPS = {
    "pass": "def test_x(): pass",
    "expected failure": "import pytest\n@pytest.mark.xfail\ndef test_x(): assert False",
}


def run_pytest(directory: Path, root: Path, source: str, ci: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(root / "tests/conftest.py", directory)
    (directory / "test_case.py").write_text(source + "\n")
    (directory / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(directory)]
    environment = {**os.environ, "CI": ci, "PYTHONPATH": str(root)}
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS.keys())
def test_a_skip_fails_in_ci(tmp_path: Path, root: Path, source: str) -> None:
    done = run_pytest(tmp_path, root, source, ci="true")
    assert done.returncode not in {0, pytest.ExitCode.NO_TESTS_COLLECTED}, done.stdout
    assert "no runtime" in done.stdout
    assert "nothing may be skipped" in done.stdout


@pytest.mark.parametrize("source", NOT_SKIPS.values(), ids=NOT_SKIPS.keys())
def test_other_outcomes_stay_in_ci(tmp_path: Path, root: Path, source: str) -> None:
    assert run_pytest(tmp_path, root, source, ci="true").returncode == 0


def test_a_skip_stays_a_skip_elsewhere(tmp_path: Path, root: Path) -> None:
    done = run_pytest(tmp_path, root, SKIPS["call"], ci="")
    assert done.returncode == 0
    assert "1 skipped" in done.stdout
