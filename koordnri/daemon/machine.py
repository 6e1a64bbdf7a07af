"""This host: for the reconciler, which writes, and the event path, which reads a little."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from koordnri.daemon.node_facts import ReportedFacts
from koordnri.host.cgroup.files import CgroupFiles
from koordnri.host.cgroup.running import cpus_now, has_ended
from koordnri.host.cgroup.writer import Writer
from koordnri.model import CPUSet, Pod
from koordnri.state.present import Present
from koordnri.state.world import World


class HostMachine:
    """See koordnri.reconcile.ports.Machine.

    files   file access of the reconcile thread
    save    saves the ledger's notes at once
    """

    def __init__(
        self, root: Path, present: Present, facts: ReportedFacts, files: CgroupFiles, save: Callable[[], None]
    ) -> None:
        self._root = root
        self._present = present
        self._facts = facts
        self._files = files
        self._save = save

    def world(self) -> World:
        """The present policy, node and runtime."""
        return World(self._present.up_to_date(), self._facts.runtime.name)

    def writer(self, cgroup_version: int) -> Writer:
        """A writer for one pass."""
        return Writer(self._root, cgroup_version, self._files)

    def save(self) -> None:
        """Save the ledger's notes at once."""
        self._save()


class HostReader:
    """Reads on the event path. The reconcile thread has its own writer."""

    def __init__(self, root: Path, present: Present, facts: ReportedFacts) -> None:
        self._root = root
        self._present = present
        self._facts = facts

    def has_ended(self, pod: Pod) -> bool:
        """Whether a sandbox in which nothing runs has been stopped."""
        return has_ended(self._writer(), pod, self._facts.runtime.name)

    def cpus_now(self, pod: Pod, container_id: str) -> CPUSet | None:
        """The cpuset of a container's cgroup; None when it cannot be read."""
        return cpus_now(self._writer(), pod, container_id, self._facts.runtime.name)

    def _writer(self) -> Writer:
        return Writer(self._root, self._present.snapshot.node.cgroup_version)
