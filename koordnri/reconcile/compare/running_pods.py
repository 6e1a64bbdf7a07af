"""Running pods and classes, read from their files for a comparison."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from koordnri.host.cgroup.change import Reading
from koordnri.host.cgroup.paths import container_directory, pod_directory
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Field, NodeError, Pod
from koordnri.model.class_cgroup import OuterCgroup
from koordnri.model.resources import NOTHING
from koordnri.reconcile.compare.running import Above, Files, Running
from koordnri.reconcile.originals import as_kubelet_set_it, kubelets_files
from koordnri.reconcile.ports import Machine
from koordnri.state.ledger import Ledger


class RunningPods:
    """Reads what runs. Any thread may call it."""

    def __init__(self, ledger: Ledger, machine: Machine) -> None:
        self._ledger = ledger
        self._machine = machine

    def running(self, pods: Iterable[Pod]) -> list[Running]:
        """The present state of these pods, for a comparison."""
        world = self._machine.world()
        writer = self._machine.writer(world.snapshot.node.cgroup_version)
        return [self._running(pod, writer, world.runtime) for pod in pods]

    def _running(self, pod: Pod, writer: Writer, runtime: str) -> Running:
        had = self._ledger.originals(pod.id)
        containers = [entry.container for entry in self._ledger.containers_of(pod.id)]
        try:
            directory = pod_directory(pod.cgroup_parent)
            sandbox = container_directory(pod.cgroup_parent, pod.id, runtime)
        except NodeError:  # without a cgroup, only NRI's report is left
            return Running(pod, containers, Files(had))
        resources = as_kubelet_set_it(pod.resources, had, kubelets_files(directory, had, writer))
        read = partial(_read_own, writer, directory, sandbox)
        return Running(pod.with_resources(resources), containers, Files(had, read), writer.has(sandbox))

    def above(self, cgroups: Iterable[OuterCgroup]) -> list[Above]:
        """The present state of the cgroups outside of pods, for a comparison."""
        writer = self._machine.writer(self._machine.world().snapshot.node.cgroup_version)
        found = []
        for cgroup in cgroups:
            had = self._ledger.originals(cgroup.id)
            resources = as_kubelet_set_it(NOTHING, had, kubelets_files(cgroup.directory, had, writer))
            found.append(Above(cgroup, resources, Files(had, partial(writer.read, cgroup.directory))))
        return found


def _read_own(writer: Writer, directory: str, sandbox: str, field: Field, disk: str) -> Reading:
    """Value of a pod's own file, or of its sandbox's where the field is for that."""
    return writer.read(sandbox if field.in_sandbox else directory, field, disk)
