"""What an experiment on a real runtime needs: the runtime, a daemon of our own on it, and a directory that pods share."""

from __future__ import annotations

import contextlib
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from koordnri.cli.bench.figures import BenchError
from koordnri.cli.bench.isolation.cri import CRI
from koordnri.cli.bench.isolation.kubelet_cgroups import KubeletCgroups
from koordnri.cli.bench.isolation.pods import Pods, cgroup_driver, check_node
from koordnri.cli.bench.policy import Policy, write_policy
from koordnri.cli.bench.process import DaemonProcess
from koordnri.cli.control import ControlError, question
from koordnri.cli.verify_run import interruptible

ON_DISK = "/var/tmp"  # noqa: S108  # a directory of our own is made in it
"""Where an experiment has its files."""

START_S = 120.0
"""for the daemon's start, which takes half a minute on an emulated machine"""


class Stage(NamedTuple):
    """All of it."""

    directory: Path
    """on a disk; of our own, and removed at the end"""
    cgroups: KubeletCgroups
    pods: Pods
    daemon: DaemonProcess
    node: Mapping[str, str | int]
    """kernel, cpus, cgroups, runtime, date"""


@contextmanager
def stage(what: str, runtime_endpoint: Path, nri_socket: Path, image: str, policy: Policy) -> Iterator[Stage]:
    """Within it the daemon runs with this policy. A signal that ends the process removes everything first. Raises BenchError.

    what   needs all this, for the message to who is not root
    """
    if os.geteuid() != 0:
        raise BenchError(f"{what} needs root: it makes cgroups and pods")
    cri = CRI(runtime_endpoint)
    with (
        contextlib.closing(cri),
        interruptible(),
        tempfile.TemporaryDirectory(prefix="koordnri-bench-", dir=ON_DISK) as name,
    ):
        directory = Path(name)
        check_node(cri, image)
        cgroups = KubeletCgroups(cgroup_driver(cri))
        runtime = cri.call("Version")
        node: dict[str, str | int] = {
            "kernel": platform.release(),
            "cpus": len(os.sched_getaffinity(0)),
            "cgroups": f"v{cgroups.version}, {cgroups.driver}",
            "runtime": f"{runtime.runtime_name} {runtime.runtime_version}",
            "date": datetime.now(UTC).date().isoformat(),
        }
        shared = directory / "shared"
        shared.mkdir()
        with _daemon(directory, nri_socket, policy) as daemon:
            yield Stage(directory, cgroups, Pods(cri, cgroups, image, shared), daemon, node)


@contextmanager
def _daemon(directory: Path, nri_socket: Path, policy: Policy) -> Iterator[DaemonProcess]:
    write_policy(directory / "policy.json", policy)
    daemon = DaemonProcess(directory, nri_socket)

    def ready() -> bool:
        with contextlib.suppress(ControlError):
            return bool(question(daemon.state_dir, "status")["ready"])
        return False

    try:
        what = f"the daemon to be ready on {nri_socket}; does another one run on this node?"
        daemon.wait_until(ready, 0.2, what, START_S)
        yield daemon
    finally:
        daemon.stop()
