"""The process of a real runtime of our own, started and killed at will; and what one leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import grpc

from tests.e2e import lab
from tests.e2e.cri import CRI
from tests.support.waiting import eventually


class RuntimeProcess:
    """What containerd and CRI-O have in common. Everything a runtime makes is below `work`, except its containers' cgroups."""

    def __init__(self, name: str, work: Path, *, systemd_cgroup: bool) -> None:
        """`work` must be short, for it holds sockets."""
        self.name = name
        self.work = work
        self.systemd_cgroup = systemd_cgroup
        self.socket = work / "c.sock"
        self.nri_socket = work / "nri" / "nri.sock"
        self.log = work / f"{name}.log"
        self.version = ""
        self.cri = CRI(self.socket)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running runtime."""
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start and wait until it answers CRI and has its NRI socket and its image."""
        raise NotImplementedError

    def _launch(self, command: Sequence[str | Path], environment: dict[str, str]) -> None:
        # A socket left by a killed one would look like readiness.
        self.nri_socket.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        eventually(self._ready, f"{self.name} ready (log: {self.log})", 60)

    def kill(self) -> None:
        """SIGKILL, as an out-of-memory kill would; containers and their shims or monitors go on."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """SIGKILL and start again on the same directories."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """End it with all that it made: pods, containers, mounts, sockets. The work directory stays."""
        if self._process is not None:
            with contextlib.suppress(grpc.RpcError):
                for container in self.cri.call("ListContainers").containers:
                    # CRI-O would wait for its end before it stops the sandbox.
                    self.cri.call("StopContainer", container_id=container.id, timeout=0)
                for sandbox in self.cri.call("ListPodSandbox").items:
                    self.cri.call("StopPodSandbox", pod_sandbox_id=sandbox.id)
                    self.cri.call("RemovePodSandbox", pod_sandbox_id=sandbox.id)
        self.cri.close()
        self._end(signal.SIGTERM)
        sweep(self.work)

    def log_tail(self, lines: int = 12) -> str:
        """The last lines of its log, for a failing test's report."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"{self.name} ended with {self._process.returncode}: {self.log_tail(8)}"
        if not self.nri_socket.exists():
            return False
        try:
            self.version = self.cri.call("Version", timeout_s=2).runtime_version
        except grpc.RpcError:
            return False
        return True

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def sweep(work: Path) -> None:
    """End what a containerd or CRI-O of `work` left, itself and daemons at its socket included; the directory stays.

    Needs nothing but the directory, so that a later run can clean up after one that was killed.
    """
    for mine in (f"-c\0{work}/config.toml\0", f"--config\0{work}/crio.conf\0", f"--nri-socket\0{work}/nri/nri.sock\0"):
        for pid in _processes(mine):
            _kill(pid)
    # runc knows its containers and their cgroups.
    for directory in sorted((work / "runc").glob("*/*")):
        subprocess.run(
            [lab.RUNC, "--root", directory.parent, "delete", "--force", directory.name],
            capture_output=True,
            check=False,
        )
    for pid in _processes(f"-address\0{work}/c.sock\0"):
        _kill(pid)
    # A shim removes its socket in /run/containerd/s when it ends by itself; the bundle names it for those killed.
    for bundle in (work / "state").glob("io.containerd.runtime.v2.task/*/*"):
        for name in ("address", "bootstrap.json"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                text = (bundle / name).read_text()
                address = json.loads(text)["address"] if name.endswith("json") else text
                Path(address.removeprefix("unix://")).unlink()
    for target in reversed(_mounts_below(work)):
        subprocess.run(["umount", "-l", target], capture_output=True, check=False)


def _processes(arguments: str) -> list[int]:
    """Processes whose command line has these arguments, each ended by a NUL."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"\0{arguments}" in (entry / "cmdline").read_text(errors="replace"):
                found.append(int(entry.name))
    return found


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _mounts_below(directory: Path) -> list[str]:
    targets = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [target for target in targets if target.startswith(f"{directory}/")]
