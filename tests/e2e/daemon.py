"""`koordnri run` as a process: started, killed, restarted, and asked over HTTP how it is."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.e2e import command
from tests.support.waiting import eventually

START_S = 150.0
"""s that a start may take: the first one in the virtual machine compiles and reads everything, ten times slower."""


class Daemon:
    """One koordnri daemon with its own state directory, policy file, log and port; these outlive its process."""

    def __init__(
        self,
        nri_socket: Path,
        work: Path,
        *,
        policy: str = "",
        python_path: Sequence[Path] = (),
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        under: Sequence[str] = (),
    ) -> None:
        """`policy` is the text of the policy file, `python_path` holds further distributions such as third-party hooks; `under` is a
        program with arguments that executes the command.
        """
        self.work = work
        self.state_dir = work / "state"
        self.log = work / "koordnri.log"
        self.policy_file = work / "policy.yaml"
        self.port = _free_port()
        self._process: command.Process | None = None
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self.policy_file.write_text(policy or "{}\n")
        self._command = [
            *under,
            *command.COMMAND,
            "run",
            "--nri-socket",
            str(nri_socket),
            "--state-dir",
            str(self.state_dir),
            "--listen",
            f"127.0.0.1:{self.port}",
            "--policy-file",
            str(self.policy_file),
            "--node-name",
            "lab",
            *arguments,
        ]
        path = [str(entry) for entry in python_path] + [entry for entry in sys.path if entry]
        # Settings for the tests (KOORDNRI_E2E_…) share the prefix of the daemon's own.
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("KOORDNRI_")}
        self._environment = {**inherited, "PYTHONPATH": os.pathsep.join(path), **(environment or {})}

    @property
    def pid(self) -> int:
        """Process id of the running daemon."""
        assert self._process is not None, "koordnri is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, wait: bool = True) -> None:
        """Start, and by default wait until it is ready: registered, synchronized, policy loaded."""
        self._process = command.start(self._command, self._environment, self.work, self.log)
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until /readyz says so. Raises AssertionError with the end of its log."""
        try:
            eventually(self.ready, "koordnri ready", START_S)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_tail()}") from None

    def wait_registrations(self, count: int) -> None:
        """Wait until it has registered with the runtime `count` times in its life."""

        def registered() -> bool:
            with contextlib.suppress(urllib.error.URLError):
                return self.metric("koordnri_registrations_total") >= count
            return False

        eventually(registered, f"koordnri registered {count} times (log: {self.log})")

    def ready(self) -> bool:
        """Whether /readyz answers 200. A daemon that ended is an AssertionError."""
        assert self._process is not None, "koordnri was not started"
        code = self._process.poll()
        assert code is None, f"koordnri ended with {code}"
        try:
            self._get("/readyz")
        except urllib.error.URLError:
            # Not listening yet, or 503.
            return False
        return True

    def listening(self) -> bool:
        """Whether it answers HTTP at all, however it is."""
        try:
            self._get("/healthz")
        except urllib.error.HTTPError:
            return True
        except urllib.error.URLError:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL, and wait for the process to be gone."""
        assert self._process is not None, "koordnri is not running"
        self._process.kill()
        self._process.wait(10)
        self._process = None

    def terminate(self) -> int:
        """SIGTERM, and the exit code."""
        assert self._process is not None, "koordnri is not running"
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(10)
        self._process = None
        return code

    def restart(self) -> None:
        """SIGKILL and start again on the same state directory and port."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """End it, whatever state it is in."""
        if self._process is None:
            return
        try:
            self.terminate()
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                self.kill()

    def metric(self, name: str, **labels: str) -> float:
        """Sum of the samples called `name` that carry these labels; 0 when there is none."""
        total = 0.0
        for family in text_string_to_metric_families(self._get("/metrics")):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    total += sample.value
        return total

    def log_tail(self, lines: int = 60) -> str:
        """The last lines of its log, for a failing test's report."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def _get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return str(answer.read().decode())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
