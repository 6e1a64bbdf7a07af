"""`koordnri page`: the page of a report."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from koordnri.cli import cli
from koordnri.cli.bundle import Bundle


def written(path: Path) -> Path:
    """A report that has the status only."""
    bundle = Bundle("koordnri-report-n", {"made": "20261129T114500Z"})
    bundle.add_json("v1/status.json", {"node": "n"})
    with path.open("wb") as file:
        bundle.write(file)
    return path


def test_the_command_serves_until_it_is_stopped(tmp_path: Path) -> None:
    path = written(tmp_path / "r.tar.gz")
    command = [sys.executable, "-m", "koordnri.cli", "page", str(path), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        with urllib.request.urlopen(f"{address}v1/status", timeout=20) as answer:
            assert json.load(answer)["node"] == "n"
        with pytest.raises(urllib.error.HTTPError, match="404") as raised:
            urllib.request.urlopen(f"{address}v1/map", timeout=20)
        raised.value.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


@pytest.mark.parametrize(("name", "expected"), [("none.tar.gz", "No such file"), ("text.tar.gz", "text.tar.gz: ")])
def test_an_error_names_the_file(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / "text.tar.gz").write_text("text")
    result = CliRunner().invoke(cli, ["page", str(tmp_path / name)])
    assert result.exit_code == 2
    assert expected in result.stderr
    assert name in result.stderr
