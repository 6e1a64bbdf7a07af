"""The command `koordnri` as a process of its own.

In the virtual machine it is forked from a process that has imported it: to import it takes eight seconds there, and most tests start a
daemon. Outside, where the same tests run, it is executed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tests.e2e import lab
from tests.e2e.calls import traced

COMMAND = (sys.executable, "-c", "from koordnri.cli import main; main()")
"""What the installed command does, without needing it on the PATH: the virtual machine has only a directory of packages."""
_HOOKS = tuple(
    f"koordnri_hooks.{name}" for name in ("blkio", "cfs_quota", "cpuset", "gpu", "injection.hook", "memory", "rdt")
)
IMPORTED = ("koordnri.cli.run", "koordnri.cli.explain", "koordnri.daemon.daemon", *_HOOKS)
"""What a forked process finds imported; a module that is not there would be left out in silence."""
_PATIENCE_S = 60.0
"""s that a command other than the daemon may take"""


class Process(Protocol):
    """What these tests use of a subprocess.Popen."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def poll(self) -> int | None:
        """The exit code; None while it runs. -9 is SIGKILL's."""

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises subprocess.TimeoutExpired after so many s."""

    def send_signal(self, sig: int) -> None:
        """Signal it."""

    def kill(self) -> None:
        """SIGKILL."""


class Forked:
    """`koordnri ARGUMENTS`, forked; see Process."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], directory: Path, out: Path, err: Path
    ) -> None:
        """`out` and `err` are appended to."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(IMPORTED))
        self._arguments = arguments
        self._process = context.Process(
            target=_become,
            args=(list(arguments), dict(environment), str(directory), str(out), str(err)),
            daemon=True,  # one that a test has left is ended with pytest, which would else wait for it
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(self._arguments, timeout or 0.0)
        return code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(command: Sequence[str], environment: Mapping[str, str], directory: Path, log: Path) -> Process:
    """Start COMMAND with its arguments, or a program that executes it; what it prints is added to `log`."""
    if lab.SYSTEMD and tuple(command[: len(COMMAND)]) == COMMAND:
        return Forked(command[len(COMMAND) :], environment, directory, log, log)
    with log.open("ab") as output:
        return subprocess.Popen(
            traced(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=directory,
            start_new_session=True,
        )


def run(arguments: Sequence[str], environment: Mapping[str, str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Execute `koordnri ARGUMENTS` to its end."""
    if not lab.SYSTEMD or stdin:
        return subprocess.run(
            traced([*COMMAND, *arguments]), input=stdin, capture_output=True, text=True, check=False, env=environment
        )
    with tempfile.TemporaryDirectory() as temporary:
        out, err = Path(temporary, "out"), Path(temporary, "err")
        code = Forked(arguments, environment, Path.cwd(), out, err).wait(_PATIENCE_S)
        return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())


def _become(arguments: list[str], environment: dict[str, str], directory: str, out: str, err: str) -> None:
    """In the forked process."""
    os.setsid()
    for path, number in ((out, 1), (err, 2)):
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = ["koordnri", *arguments]
    from koordnri.cli import main

    main()
