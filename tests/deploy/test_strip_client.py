"""The image holds a stripped kubernetes client. koordnri's own tests of the client pass with it, and its parts are gone."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import strip_client

TESTS = ("tests/kube/test_official.py", "tests/kube/test_api.py", "tests/kube/test_watch.py")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the client and the packages that it alone uses, stripped."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("kubernetes", *strip_client.ASYNCHRONOUS):
        spec = importlib.util.find_spec(name)
        assert spec is not None, name
        assert spec.origin is not None
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(spec.origin).parent, folder / name, ignore=ignored)
    strip_client.strip(folder)
    return folder


def size_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def test_next_to_nothing_of_the_client_is_left(site: Path) -> None:
    assert [path.name for path in site.iterdir()] == ["kubernetes"]
    assert 0 < size_mb(site) < 2


def test_koordnri_gets_on_with_what_is_left(site: Path) -> None:
    where = "import kubernetes, sys; assert kubernetes.__file__.startswith(sys.argv[1]), kubernetes.__file__"
    environment = os.environ | {"PYTHONPATH": str(site)}
    subprocess.run([sys.executable, "-c", where, str(site)], env=environment, check=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS, "-k", "not whole"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-3000:]


def test_another_layout_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["strip_client.py", str(tmp_path)])
    assert strip_client.main() == 1
    assert "kubernetes/aio is not there" in capsys.readouterr().out
