"""A daemon as a process that `bench` started: its policy, its metrics, its log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from koordnri.cli.bench.figures import BenchError
from koordnri.cli.bench.policy import Policy, write_policy

TIMEOUT_S = 30.0


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process: asked first, killed after 10 s."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class DaemonProcess:
    """`koordnri run` with a directory for its policy file, its state and its log."""

    def __init__(self, directory: Path, nri_socket: Path, host: Path = Path("/")) -> None:
        """Start it, on a host whose /sys and /proc are below `host`. The directory has its policy.json already."""
        self.state_dir = directory / "state"
        self._policy = directory / "policy.json"
        self._log = directory / "log"
        command = [sys.executable, "-m", "koordnri.cli", "run"]
        command += ["--nri-socket", str(nri_socket), "--host-root", str(host)]
        command += ["--policy-file", str(self._policy), "--state-dir", str(self.state_dir)]
        command += ["--listen", "127.0.0.1:0", "--node-name", "bench"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("KOORDNRI_", "NRI_"))}
        with self._log.open("wb") as stderr:
            self._popen = subprocess.Popen(command, env=environment, stderr=stderr)  # noqa: S603  # ourselves
        self._url = ""

    def stop(self) -> None:
        """End the process."""
        stop(self._popen)

    def set_policy(self, policy: Policy) -> None:
        """Write its policy file."""
        write_policy(self._policy, policy)

    def metrics(self) -> Metrics:
        """A scrape of /metrics. Raises BenchError."""
        if not self._url:
            self._url = f"http://127.0.0.1:{self._port()}/metrics"
        try:
            with urllib.request.urlopen(self._url, timeout=10) as answer:  # noqa: S310  # the daemon's own port
                text = answer.read().decode()
        except OSError as error:
            raise BenchError(f"{self._url}: {error}\n{self.tail()}") from None
        return Metrics(text)

    def take(self, policy: Policy) -> None:
        """Write its policy file, and wait until the daemon has accepted it. Raises BenchError."""
        accepted = self.metrics().total("koordnri_policy_accepted_total")
        self.set_policy(policy)
        self.wait_until(
            lambda: self.metrics().total("koordnri_policy_accepted_total") > accepted, 0.05, "the policy to be taken"
        )

    def apply(self, policy: Policy) -> None:
        """As `take`, and wait until running pods follow. Raises BenchError."""
        before = self._passes()
        self.take(policy)
        self.wait_until(lambda: self._passes() > before, 0.05, "the daemon to apply its policy to running pods")

    def _passes(self) -> float:
        return self.metrics().total("koordnri_reconcile_passes_total", trigger="change")

    def wait_until(self, true: Callable[[], bool], pause_s: float, what: str, timeout_s: float = TIMEOUT_S) -> None:
        """Check every `pause_s`. Raises BenchError when it does not become true."""
        deadline = time.monotonic() + timeout_s
        while not true():
            if time.monotonic() > deadline:
                raise BenchError(f"waited {timeout_s:g} s for {what}\n{self.tail()}")
            time.sleep(pause_s)

    def tail(self) -> str:
        """The end of its log."""
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-10:]) or "its log is empty"

    def _port(self) -> int:
        for line in self._log.read_text(errors="replace").splitlines():
            logged: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
            if logged.get("event") == "started":
                return int(logged["port"])
        raise BenchError(f"the daemon did not say on which port it listens\n{self.tail()}")


class Metrics:
    """One scrape."""

    def __init__(self, text: str) -> None:
        self._samples = [s for family in text_string_to_metric_families(text) for s in family.samples]

    def total(self, name: str, **labels: str) -> float:
        """Sum of the samples of that name with these labels; 0 when there is none."""
        wanted: Mapping[str, str] = labels
        return sum(s.value for s in self._samples if s.name == name and wanted.items() <= s.labels.items())

    def label(self, name: str, label: str) -> str:
        """That label of the first sample of that name."""
        return next(s.labels[label] for s in self._samples if s.name == name)
