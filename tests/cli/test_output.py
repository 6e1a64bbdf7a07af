"""Where the answer goes: a full disk, a closed pipe, a terminal that knows no arrows. Never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

KOORDNRI = Path(sys.executable).with_name("koordnri")
EXAMPLES = Path(__file__).parents[2] / "examples"
PODS, POLICY = f"-f {EXAMPLES}/pods.yaml", f"--policy {EXAMPLES}/policy.yaml"
COMMANDS = [f"explain {PODS}", f"explain {PODS} -o json", f"diff {PODS} {POLICY}", "policy schema", "version"]


def run(command: str, stdout: int, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [KOORDNRI, *command.split()], stdout=stdout, stderr=subprocess.PIPE, env={**os.environ, **environment}
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_reported_in_one_line(command: str) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = run(command, full)
    finally:
        os.close(full)
    assert done.returncode == 2
    assert done.stderr.endswith(b"Error: standard output cannot be written: No space left on device\n")
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_who_closes_the_pipe_wants_no_more_and_gets_no_message(command: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(command, writing)
    finally:
        os.close(writing)
    assert done.returncode != 0
    assert b"rror" not in done.stderr.replace(b"cannot", b"")


def test_a_locale_without_arrows_costs_nothing_but_the_arrows() -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = run(f"diff {PODS} {POLICY}", subprocess.PIPE, **ascii_only)
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.splitlines()[-1].startswith(b"policy default \\u2192 ")
