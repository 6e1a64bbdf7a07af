"""The machine that the reconciler works on: this host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from koordnri.host.cgroup.files import CgroupFiles
from koordnri.host.cgroup.writer import Writer
from koordnri.state.world import World


class HostMachine:
    """See koordnri.reconcile.ports.Machine.

    files   how the reconcile thread reads and writes
    save    puts the ledger's notes on disk at once
    """

    def __init__(self, root: Path, world: Callable[[], World], files: CgroupFiles, save: Callable[[], None]) -> None:
        self._root = root
        self._world = world
        self._files = files
        self._save = save

    def world(self) -> World:
        """Policy, node and runtime as they are now."""
        return self._world()

    def writer(self, cgroup_version: int) -> Writer:
        """A writer for one pass."""
        return Writer(self._root, cgroup_version, self._files)

    def save(self) -> None:
        """Put the ledger's notes on disk at once."""
        self._save()
