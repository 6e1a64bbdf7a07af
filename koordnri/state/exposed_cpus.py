"""Files that show containers their exclusive CPUs: one directory per container, which is bind-mounted into it.

    STATE_DIRECTORY/exposed/CONTAINER_ID/exclusive-cpus   `2-3`; an empty line while it has none

The event path makes the file before the container is made. The reconcile thread replaces it when the CPUs change, by a rename, so that a
reader sees the old list or the new one. It removes the directories of containers that are gone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from koordnri.model import NodeState
from koordnri.model.assigned import assigned_on
from koordnri.model.cpuset import NO_CPUS
from koordnri.state.ledger import Ledger

DIRECTORY = "exposed"
FILE = "exclusive-cpus"
YOUNG_S = 600.0
"""A directory of this age (s) stays although the ledger lacks its container, which is perhaps being created."""


class ExposedCPUs:
    """`prepare` is for the event thread, `follow` for the reconcile thread.

    directory   below the state directory
    """

    def __init__(self, directory: Path, ledger: Ledger, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._ledger = ledger
        self._clock = clock

    def prepare(self, container_id: str, cpus: str) -> None:
        """Make a container's file. Raises OSError."""
        own = self._directory / container_id
        self._directory.mkdir(mode=0o755, exist_ok=True)
        own.mkdir(mode=0o755, exist_ok=True)
        _write(own, cpus)

    def follow(self, node: NodeState) -> None:
        """Bring each file up to date. Raises OSError."""
        try:
            found = list(os.scandir(self._directory))
        except FileNotFoundError:
            return
        for entry in found:
            container = self._ledger.container(entry.name)
            if container is None:
                if self._clock() - entry.stat().st_mtime > YOUNG_S:
                    shutil.rmtree(entry.path, ignore_errors=True)
                continue
            pod = self._ledger.pod(container.pod_id)
            if pod is None:
                continue
            cpus = node.exclusive_cpus.get(pod.key, {}).get(container.name, NO_CPUS) or assigned_on(pod, node)
            if _read(Path(entry.path)) != str(cpus):
                _write(Path(entry.path), str(cpus))


def _read(directory: Path) -> str | None:
    with contextlib.suppress(FileNotFoundError):
        return (directory / FILE).read_text().strip()
    return None


def _write(directory: Path, cpus: str) -> None:
    new = directory / f".{FILE}.new"
    new.write_text(f"{cpus}\n")
    new.chmod(0o444)
    new.rename(directory / FILE)
