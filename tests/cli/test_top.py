"""`koordnri top`: rows of two samples, for programs and on terminals of any width."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

from click.testing import CliRunner

from koordnri.cli import cli
from koordnri.observe.control import ControlServer
from tests.observe.driven import driven

# -- figures ----------------------------------------------------------------------------------------------------------


# -- rows -------------------------------------------------------------------------------------------------------------


# -- samples ----------------------------------------------------------------------------------------------------------


# -- the table --------------------------------------------------------------------------------------------------------


# -- the command ------------------------------------------------------------------------------------------------------


def test_json_prints_once(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["top", "-o", "json", "--state-dir", str(tmp_path)])
    assert done.exit_code == 2
    assert "-o json prints once: expected --once, too" in done.stderr


def test_only_a_terminal_is_followed(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["top", "--state-dir", str(tmp_path)])
    assert done.exit_code == 2
    assert "standard output is no terminal: expected --once" in done.stderr


def test_a_daemon_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["top", "--once", "--state-dir", str(tmp_path)])
    assert done.exit_code == 2
    assert f"{tmp_path}/koordnri.sock: there is no such socket" in done.stderr


def test_it_follows_until_it_is_interrupted(tmp_path: Path) -> None:
    answer = {"node": "n", "cgroupVersion": 2, "hostRoot": str(tmp_path), "pods": []}
    server = ControlServer(tmp_path, cast("Any", None), {"containers": lambda parameters: answer})
    terminal, its_end = pty.openpty()
    # A shell that started the tests in the background has them ignore the signal, and Python keeps that.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from koordnri.cli import main; main()"
    )
    command = [sys.executable, "-c", program, "top", "--state-dir", str(tmp_path)]
    running = subprocess.Popen(command, stdin=its_end, stdout=its_end, stderr=its_end)
    os.close(its_end)
    try:
        shown = b""
        while shown.count(b"no containers run") < 2:
            shown += os.read(terminal, 4096)
        running.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # the other end is closed
            while os.read(terminal, 4096):
                pass
        assert running.wait() == 0
    finally:
        running.kill()
        running.wait()
        os.close(terminal)
        server.close()


def test_the_running_daemon_answers(tmp_path: Path) -> None:
    with driven(tmp_path) as it:
        it.run_pod("p")
        it.create("p")
        command = ["top", "--once", "--state-dir", str(tmp_path / "state")]
        as_table = CliRunner().invoke(cli, command)
        as_shape = CliRunner().invoke(cli, [*command, "-o", "json"])
    assert (as_table.exit_code, as_shape.exit_code) == (0, 0), as_table.output + as_shape.output
    # The embedded runtime's containers have no cgroups.
    assert "no containers run" in as_table.stdout
    assert json.loads(as_shape.stdout) == {"node": "n", "classes": []}
