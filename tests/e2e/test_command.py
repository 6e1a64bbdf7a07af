"""The forked command, of which the virtual machine makes its daemons, is the executed one to whoever sees it from outside."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e import command
from tests.support.waiting import eventually

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}


@pytest.mark.parametrize("module", command.IMPORTED)
def test_what_a_forked_command_finds_imported_is_there(module: str) -> None:
    importlib.import_module(module)


@pytest.mark.parametrize("arguments", [["version"], ["policy", "check", "absent.yaml"]], ids=["0", "2"])
def test_a_forked_command_prints_and_ends_as_an_executed_one(arguments: list[str], tmp_path: Path) -> None:
    executed = command.run(arguments, ENVIRONMENT)
    out, err = tmp_path / "out", tmp_path / "err"

    code = command.Forked(arguments, ENVIRONMENT, Path.cwd(), out, err).wait(60)

    assert (code, out.read_text(), err.read_text()) == (executed.returncode, executed.stdout, executed.stderr)
    assert executed.stdout + executed.stderr


def test_a_forked_daemon_is_a_session_of_its_own_with_the_environment_given_and_can_be_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    sets = {**ENVIRONMENT, "KOORDNRI_NODE_NAME": "forked", "KOORDNRI_STATE_DIR": str(tmp_path)}
    arguments = ["run", "--nri-socket", str(tmp_path / "absent.sock"), "--listen", "127.0.0.1:0"]

    daemon = command.Forked(arguments, sets, tmp_path, log, log)

    eventually(lambda: '"node":"forked"' in log.read_text(), "it to start")
    assert (os.getsid(daemon.pid), daemon.poll()) == (daemon.pid, None)
    with pytest.raises(subprocess.TimeoutExpired):
        daemon.wait(0.01)
    daemon.kill()
    assert daemon.wait(10) == -signal.SIGKILL
