"""The system calls of koordnri's seccomp profile suffice for the daemon's life, and each refused one would be seen here.

The kernel applies the profile to a real process; containers and the host's files are those of the other tests of the daemon. In a container
of a real containerd tests/e2e/test_e2e_image.py does the same.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from koordnri.cli.control import question
from koordnri.runtime import Runtime
from tests.daemon.running import HALVED, FakeHost, create, rewrite, run_pod
from tests.support import under_seccomp
from tests.support.waiting import PATIENCE_S, eventually

ROOT = Path(__file__).parents[2]
PROFILE = ROOT / "deploy/seccomp/koordnri.json"
COMMAND = (sys.executable, "-m", "koordnri.cli")


@pytest.fixture(autouse=True)
def _library() -> None:
    try:
        ctypes.CDLL(under_seccomp.LIBRARY)
    except OSError:
        pytest.skip(f"no {under_seccomp.LIBRARY}")


def under(profile: Path, *command: str) -> list[str]:
    return [sys.executable, under_seccomp.__file__, str(profile), *command]


def without(call: str, path: Path) -> Path:
    """The profile, but for one call."""
    document = json.loads(PROFILE.read_text())
    for rule in document["syscalls"]:
        rule["names"] = [name for name in rule["names"] if name != call]
    path.write_text(json.dumps(document))
    return path


class Confined:
    """A daemon under a profile, on a fake host; its policy doubles the node's CPUs."""

    def __init__(self, work: Path, profile: Path) -> None:
        self.work, self.state = work, work / "state"
        self.policy = work / "policy.yaml"
        self.policy.write_text(HALVED)
        self.ports = {name: _free_port() for name in ("listen", "page")}
        paths = {"nri-socket": "nri.sock", "state-dir": "state", "host-root": "host", "policy-file": "policy.yaml"}
        options = [f"--{name}={work / path}" for name, path in paths.items()]
        options += [f"--{name}=127.0.0.1:{port}" for name, port in self.ports.items()]
        environment = {name: text for name, text in os.environ.items() if not name.startswith(("KOORDNRI_", "NRI_"))}
        command = under(profile, *COMMAND, "run", "--node-name=n", *options)
        with (work / "log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def get(self, port: str, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[port]}{path}", timeout=PATIENCE_S) as answer:
            return str(answer.read().decode())

    def ready(self) -> bool:
        """Whether it answers, and says that it is ready."""
        with contextlib.suppress(urllib.error.URLError):
            return self.get("listen", "/readyz") == "ok\n"
        return False

    def log(self) -> str:
        return (self.work / "log").read_text()

    def end(self) -> int:
        """SIGTERM, and its exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_S)


@contextmanager
def confined(work: Path, profile: Path) -> Iterator[Confined]:
    daemon = Confined(work, profile)
    try:
        yield daemon
    finally:
        daemon.process.kill()
        daemon.process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_daemon_lives_under_the_profile(tmp_path: Path) -> None:
    """A container's creation, drift, a changed policy, the ports, the control socket, a command, a restart."""
    node = FakeHost(tmp_path / "host")
    with Runtime(tmp_path / "nri.sock") as runtime:
        with confined(tmp_path, PROFILE) as daemon:
            runtime.wait_for_plugin(PATIENCE_S)
            run_pod(runtime)
            assert create(runtime).quota.value == 25_000
            runtime.start_container("c1")
            node.wait_quotas("25000", "25000")
            rewrite(daemon.policy, "{}\n")
            node.wait_quotas("50000", "50000")
            rewrite(daemon.policy, HALVED)
            node.wait_quotas("25000", "25000")
            assert "koordnri_registrations_total 1" in daemon.get("listen", "/metrics")
            assert "<html" in daemon.get("page", "/")
            eventually((daemon.state / "koordnri.sock").exists, "a control socket")
            assert question(daemon.state, "status")["node"] == "n"
            command = under(PROFILE, *COMMAND, "status", f"--state-dir={daemon.state}", "-o", "json")
            done = subprocess.run(command, capture_output=True, text=True)
            assert json.loads(done.stdout)["node"] == "n", done.stderr
            assert daemon.end() == 0, daemon.log()
        with confined(tmp_path, PROFILE) as daemon:
            eventually(daemon.ready, "ready after a restart")
            assert daemon.end() == 0, daemon.log()
    assert "Function not implemented" not in daemon.log()
    assert (tmp_path / "state/history.jsonl").read_text()


def test_a_call_that_is_not_listed_fails_as_if_the_kernel_lacked_it(tmp_path: Path) -> None:
    program = f"import os; os.mkfifo({str(tmp_path / 'fifo')!r})"
    done = subprocess.run(under(PROFILE, sys.executable, "-c", program), capture_output=True, text=True)
    assert (done.returncode, "Function not implemented" in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize("family", ["AF_PACKET", "AF_VSOCK", "AF_ALG"])
def test_sockets_of_other_kinds_are_refused(family: str) -> None:
    program = f"import socket; socket.socket(socket.{family}, socket.SOCK_RAW)"
    done = subprocess.run(under(PROFILE, sys.executable, "-c", program), capture_output=True, text=True)
    assert (done.returncode, "Function not implemented" in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize("call", ["listen", "inotify_init1", "flock"])
def test_a_profile_without_a_call_that_is_needed_shows(tmp_path: Path, call: str) -> None:
    """So a call that koordnri begins to make, and the profile lacks, fails the first test."""
    FakeHost(tmp_path / "host")
    profile = without(call, tmp_path / "profile.json")
    with Runtime(tmp_path / "nri.sock"), confined(tmp_path, profile) as daemon:
        eventually(
            lambda: "Function not implemented" in daemon.log() or daemon.process.poll() is not None, f"no {call}"
        )
