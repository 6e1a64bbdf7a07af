"""A runtime of the laboratory, from its start until nothing of it is left; and what killed runs left."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e import lab
from tests.e2e.cgroups import Cgroups, Limits
from tests.e2e.containerd import Containerd
from tests.e2e.crio import CRIO
from tests.e2e.kubelet import CGROUPS, sweep_cgroups
from tests.e2e.runtime_process import sweep

_PREFIX = "kn-"


@contextmanager
def running(name: str, *, shared_mounts: bool = False) -> Iterator[Containerd | CRIO]:
    """A running runtime in a directory of its own; name and option as Containerd's, or `crio`."""
    _sweep_killed_runs()
    if not lab.SYSTEMD:
        _sweep_pods_of_nobody()
    # Short, for a unix socket's path may have 107 bytes.
    work = Path(tempfile.mkdtemp(prefix=_PREFIX, dir="/tmp"))
    (work / "owner").write_text(str(os.getpid()))
    containerd = CRIO(work) if name == lab.CRIO else Containerd(name, work, shared_mounts=shared_mounts)
    if not lab.SYSTEMD:
        # Any node has one beside those of pods. Without it a daemon learns only ten seconds after the first pod which files cgroups have.
        (work / CGROUPS).write_text(f"/{work.name}\n")
        Cgroups(systemd=False).make(f"/{work.name}", Limits())
    try:
        containerd.start()
        yield containerd
    finally:
        containerd.stop()
        sweep_cgroups(work)
        shutil.rmtree(work)


def _sweep_killed_runs() -> None:
    """End what runs left whose pytest was killed before it could clean up."""
    for work in Path("/tmp").glob(f"{_PREFIX}*"):
        owner = work / "owner"
        if owner.exists() and not Path("/proc", owner.read_text()).exists():
            sweep(work)
            sweep_cgroups(work)
            shutil.rmtree(work)


def _sweep_pods_of_nobody() -> None:
    """Remove empty cgroups of pods, whoever made them, if no kubelet runs here.

    A run that lost its work directory leaves them, and so does a demo that was killed. On v1 a quota that is left in one keeps its
    class from having a smaller one.
    """
    if any(_name(process) == "kubelet" for process in Path("/proc").glob("[0-9]*")):
        return
    cgroups = Cgroups(systemd=False)
    for root in cgroups.roots():
        for pod in [*root.glob("kubepods/pod*"), *root.glob("kubepods/*/pod*")]:
            cgroups.remove(f"/{pod.relative_to(root)}")


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return ""  # it has ended
