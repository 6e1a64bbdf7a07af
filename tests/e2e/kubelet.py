"""Drives CRI as kubelet does, from a pod's cgroup to its removal long after its end.

What a real kubelet does and a simple driver forgets (Kubernetes 1.35): a sandbox is stopped at once and removed late, so that a pod
made again, or a second sandbox of the same pod, is there before the first has gone; ended containers stay until others replace them.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import os
import signal
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc

from tests.e2e import lab
from tests.e2e.cgroups import Cgroups, Limits
from tests.e2e.containerd import Containerd
from tests.e2e.cri import CRI
from tests.e2e.cri_requests import Asked, container_config, pod_cgroup, sandbox_config, shares
from tests.e2e.readings import Container, Pod, Readings
from tests.support.waiting import eventually

__all__ = ["UNTIL_STOPPED", "Container", "Kubelet", "Pod", "sweep_cgroups"]

CGROUPS = "cgroups"
"""File of the runtime's work directory: the pods' cgroups that were made, one per line."""
UNTIL_STOPPED = ("/bin/sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait")
"""Command of a container that Kubelet.finish can end."""
_numbers = itertools.count(1)


class Kubelet(Readings):
    """One node's kubelet, as far as a runtime and its NRI plugins can see."""

    def __init__(self, runtime: Containerd, cri: CRI | None = None) -> None:
        """`cri`: a connection of its own, else the runtime's."""
        super().__init__(runtime, cri)
        self.pods: list[Pod] = []
        """that have not ended"""
        self.ended: list[Pod] = []
        """that have, oldest first, and that the runtime still has"""

    # pods

    def run_pod(
        self,
        name: str = "",
        *,
        namespace: str = "default",
        uid: str = "",
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        qos: str = "Burstable",
        cpu_request_m: int = 0,
        cpu_limit_m: int = 0,
        memory_limit: int = 0,
    ) -> Pod:
        """Run a hostNetwork pod; requests and limits are the pod's sums, in milli-CPUs and bytes, 0 for none.

        uid   that an API server gave it, else any
        """
        asked = Asked(cpu_request_m, cpu_limit_m, memory_limit)
        uid = uid or str(uuid.uuid4())
        cgroup = pod_cgroup(qos, uid, systemd=self.cgroups.systemd)
        config = sandbox_config(
            name or f"pod-{next(_numbers)}",
            namespace,
            uid,
            labels=labels or {},
            annotations=annotations or {},
            cgroup_parent=cgroup.rpartition("/")[2] if self.cgroups.systemd else cgroup,
            resources=asked.resources(qos, self.cgroups.version),
        )
        pod = Pod(config["metadata"]["name"], namespace, uid, qos, cgroup, config, "")
        self._begin(pod, asked.pod_limits)
        return pod

    def replace_pod(self, pod: Pod, **sums: int) -> Pod:
        """Make a pod again as a StatefulSet does: it ends, and one with its name and another uid runs before the old sandbox has gone.

        `sums` as for run_pod. The new pod has no containers yet.
        """
        self.end_pod(pod)
        named = {"labels": pod.config["labels"], "annotations": pod.config["annotations"]}
        return self.run_pod(pod.name, namespace=pod.namespace, qos=pod.qos, **named, **sums)

    def end_pod(self, pod: Pod) -> None:
        """The pod was deleted, or all that ran in it has ended: containers and sandbox are stopped, and its cgroup goes.

        The runtime keeps them until `collect`.
        """
        for container in pod.containers:
            self.stop(container)
        if pod.sandbox_id:
            self.cri.call("StopPodSandbox", pod_sandbox_id=pod.sandbox_id)
        self.cgroups.remove(pod.cgroup)
        self.pods.remove(pod)
        self.ended.append(pod)

    def collect(self, *, keep: int = 0) -> None:
        """Remove what has ended, as kubelet does within a minute, but for the last `keep` pods that ended."""
        for pod in self.pods:
            self._remove_old_sandboxes(pod)
        while len(self.ended) > keep:
            # A pod that a failed call leaves halfway is collected the next time.
            self._remove(self.ended[0])
            self.ended.pop(0)

    def remove_pod(self, pod: Pod) -> None:
        """End a pod and remove it at once, which no kubelet does."""
        if pod not in self.ended:
            self.end_pod(pod)
        self._remove(pod)
        self.ended.remove(pod)

    def kill_sandbox(self, pod: Pod) -> None:
        """Kill the pod's pause process, and wait until the runtime knows."""
        os.kill(self.sandbox_pid(pod), signal.SIGKILL)

        def not_ready() -> bool:
            status = self.cri.call("PodSandboxStatus", pod_sandbox_id=pod.sandbox_id).status
            return bool(status.state == self.cri.messages.SANDBOX_NOTREADY)

        eventually(not_ready, f"the sandbox of {pod.name} to be seen dead")

    def change_sandbox(self, pod: Pod) -> list[Container]:
        """Give a pod a second sandbox, as after its pause process died or after a reboot ("Pod sandbox changed, will be re-created").

        All that is left in the first is stopped, and stays until `collect`. Returns the containers made again, as they run in the second.
        """
        before = [container for container in pod.containers if self.running(container)]
        for container in before:
            self.stop(container)
        self.cri.call("StopPodSandbox", pod_sandbox_id=pod.sandbox_id)
        pod.old_sandboxes.append(pod.sandbox_id)
        pod.config = copy.deepcopy(pod.config)
        pod.config["metadata"]["attempt"] += 1
        pod.sandbox_id = self.cri.call("RunPodSandbox", config=pod.config).pod_sandbox_id
        return [self.run_again(container) for container in before]

    def resize_pod(self, pod: Pod, *, cpu_request_m: int = 0, cpu_limit_m: int = 0, memory_limit: int = 0) -> None:
        """Write the pod's own cgroup, which kubelet widens before it widens a container."""
        self.cgroups.limit(pod.cgroup, Asked(cpu_request_m, cpu_limit_m, memory_limit).pod_limits)

    def write_classes(self) -> None:
        """Write the QoS classes' CPU shares, as kubelet does at its start and every minute. Raises what the kernel answers."""
        burstable = [container.asked for pod in self.pods if pod.qos == "Burstable" for container in pod.containers]
        sums = {"Burstable": shares(sum(asked.cpu_request_m for asked in burstable)), "BestEffort": 2}
        for qos, of_class in sums.items():
            if any(pod.qos == qos for pod in self.pods):
                self.cgroups.limit(pod_cgroup(qos, "", systemd=self.cgroups.systemd), Limits(of_class))

    def cleanup(self) -> None:
        """Remove every pod that is left; a runtime that is down or refuses does not keep the others."""
        for pod in [*self.ended, *self.pods]:
            with contextlib.suppress(grpc.RpcError):
                self.remove_pod(pod)

    # containers

    def create_container(
        self,
        pod: Pod,
        name: str = "main",
        *,
        cpu_request_m: int = 0,
        cpu_limit_m: int = 0,
        memory_limit: int = 0,
        cpus: str = "",
        env: Mapping[str, str] | None = None,
        command: Sequence[str] = (),
        mounts: Mapping[str, Path] | None = None,
        devices: Mapping[str, Path] | None = None,
    ) -> Container:
        """Create a container; `cpus` is what kubelet's static CPU manager would put into the request.

        mounts, devices   path in the container → the volume's on the node; devices may only be read
        """
        options = {"cpus": cpus, "env": env, "command": command, "mounts": mounts, "devices": devices}
        return self._create(Container("", name, pod, Asked(cpu_request_m, cpu_limit_m, memory_limit), options))

    def start(self, container: Container) -> None:
        """Start a created container, and wait until its own program runs.

        The runtime answers when runc's init has been asked to go on; the program is executed a moment later.
        """
        self.cri.call("StartContainer", container_id=container.id)
        comm = Path(f"/proc/{self.pid(container)}/comm")
        eventually(lambda: not comm.read_text().startswith("runc"), f"{container.name} executes its program")

    def run_container(self, pod: Pod, name: str = "main", **options: Any) -> Container:
        """Create and start; options as for create_container."""
        container = self.create_container(pod, name, **options)
        self.start(container)
        return container

    def run_init(self, pod: Pod, name: str = "init", **options: Any) -> Container:
        """Run an init container to its end; it stays until `remove`. Options as for create_container."""
        container = self.run_container(pod, name, command=UNTIL_STOPPED, **options)
        self.finish(container)
        return container

    def finish(self, container: Container) -> None:
        """Let a container of the command UNTIL_STOPPED end by itself, as a job does, and wait until the runtime knows."""
        self._signal(container, signal.SIGTERM)

    def crash(self, container: Container) -> None:
        """Kill a container's process from outside of the runtime, and wait until the runtime knows."""
        self._signal(container, signal.SIGKILL)

    def run_again(self, container: Container) -> Container:
        """Run a container that has ended once more, as kubelet does in a crash loop: a new one, of which the runtime then has two.

        Of those that ended before, kubelet keeps the last only.
        """
        for older in [old for old in container.pod.containers if old.name == container.name and old is not container]:
            self.remove(older)
        again = self._create(replace(container, attempt=container.attempt + 1))
        self.start(again)
        return again

    def exec(self, container: Container, *command: str) -> str:
        """Standard output of a command in the container; a failing one is an AssertionError."""
        done = self.cri.call("ExecSync", container_id=container.id, cmd=list(command), timeout=10)
        assert done.exit_code == 0, f"{command} in {container.name}: exit {done.exit_code}: {done.stderr!r}"
        return str(done.stdout.decode())

    def resize(
        self, container: Container, *, cpu_request_m: int = 0, cpu_limit_m: int = 0, memory_limit: int = 0
    ) -> None:
        """Of an in-place resize, the container's part: kubelet sends the new CPU and memory values; 0 is not asked."""
        asked = Asked(cpu_request_m, cpu_limit_m, memory_limit)
        self.cri.call("UpdateContainerResources", container_id=container.id, linux=asked.update())
        container.asked = asked

    def resize_in_place(
        self, container: Container, *, cpu_request_m: int = 0, cpu_limit_m: int = 0, memory_limit: int = 0
    ) -> None:
        """The whole of an in-place resize: the pod's cgroup is widened before the container, and narrowed after it."""
        pod, asked = container.pod, Asked(cpu_request_m, cpu_limit_m, memory_limit)
        others = [other.asked for other in pod.containers if other is not container and self.running(other)]
        grows = asked.cpu_limit_m >= container.asked.cpu_limit_m
        if grows:
            self.cgroups.limit(pod.cgroup, sum(others, asked).pod_limits)
        self.resize(container, cpu_request_m=cpu_request_m, cpu_limit_m=cpu_limit_m, memory_limit=memory_limit)
        if not grows:
            self.cgroups.limit(pod.cgroup, sum(others, asked).pod_limits)

    def rewrite_cpuset(self, container: Container, cpus: str) -> None:
        """What kubelet's static CPU manager does right after start and every 10 s: only a cpuset."""
        self.cri.call("UpdateContainerResources", container_id=container.id, linux={"cpuset_cpus": cpus})

    def stop(self, container: Container, grace_s: int = 0) -> None:
        """Stop with this grace; 0 kills at once."""
        self.cri.call("StopContainer", container_id=container.id, timeout=grace_s)

    def remove(self, container: Container) -> None:
        """Stop a container if it runs, and remove it, as kubelet does: CRI-O would wait a minute for its end."""
        self.stop(container)
        self.cri.call("RemoveContainer", container_id=container.id)
        container.pod.containers.remove(container)

    # inside

    def _begin(self, pod: Pod, limits: Limits) -> None:
        # Remembered on disk, for a run that gets killed.
        with (self.runtime.work / CGROUPS).open("a") as file:
            file.write(f"{pod.cgroup}\n")
        self.cgroups.make(pod.cgroup, limits)
        # Known before it runs, so that its cgroup goes away even when the runtime refuses it.
        self.pods.append(pod)
        pod.sandbox_id = self.cri.call("RunPodSandbox", config=pod.config).pod_sandbox_id

    def _create(self, container: Container) -> Container:
        pod, options = container.pod, dict(container.options)
        resources = container.asked.resources(pod.qos, self.cgroups.version)
        if cpus := options.pop("cpus"):
            resources["cpuset_cpus"] = cpus
        config = container_config(container.name, pod.config, resources, attempt=container.attempt, **options)
        answer = self.cri.call(
            "CreateContainer", pod_sandbox_id=pod.sandbox_id, config=config, sandbox_config=pod.config
        )
        container.id, container.sandbox_id = answer.container_id, pod.sandbox_id
        pod.containers.append(container)
        return container

    def _signal(self, container: Container, number: signal.Signals) -> None:
        process = os.pidfd_open(self.pid(container))

        def ended() -> bool:
            # Again and again, for a shell that has only just started does not hear it yet.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, number)
            return not self.running(container)

        try:
            eventually(ended, f"{container.name} to end by {number.name}")
        finally:
            os.close(process)

    def _remove(self, pod: Pod) -> None:
        self._remove_old_sandboxes(pod)
        if pod.sandbox_id:
            self._remove_sandbox(pod, pod.sandbox_id)

    def _remove_old_sandboxes(self, pod: Pod) -> None:
        while pod.old_sandboxes:
            self._remove_sandbox(pod, pod.old_sandboxes[0])
            pod.old_sandboxes.pop(0)

    def _remove_sandbox(self, pod: Pod, sandbox_id: str) -> None:
        """Remove a stopped sandbox after the containers in it, as kubelet does.

        To remove one with containers in it while a plugin registers can stop a containerd with NRI >= 0.7 for good: RemovePodSandbox
        keeps plugins from being synchronized, and so does RemoveContainer inside of it, which waits behind the registration that waits
        for the first.
        """
        for container in [own for own in pod.containers if own.sandbox_id == sandbox_id]:
            self.remove(container)
        self.cri.call("RemovePodSandbox", pod_sandbox_id=sandbox_id)


def sweep_cgroups(work: Path) -> None:
    """Remove the pods' cgroups that a run in this work directory left; what is gone already is fine."""
    cgroups = Cgroups(systemd=lab.SYSTEMD)
    listed = work / CGROUPS
    for cgroup in listed.read_text().splitlines() if listed.exists() else ():
        cgroups.remove(cgroup)
