"""What kubelet calls: pods and containers that exist only as specs, each step sent to the plugins and their answers applied."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterable
from typing import Any

from koordnri.runtime import answers, oci
from koordnri.runtime.errors import Conflict, CRIError, SpecError
from koordnri.runtime.identity import RuntimeIdentity
from koordnri.runtime.kernel_limits import KernelLimits
from koordnri.runtime.log import RuntimeLog
from koordnri.runtime.owners import Owners
from koordnri.runtime.plugins import EventFailed, Plugins
from koordnri.runtime.state import ContainerState, PodState, as_sent
from koordnri.runtime.updates import Updates
from koordnri.wire import api_pb2 as api
from koordnri.wire.events import NRIEvent


class CRI:
    """The pods and containers of one runtime. Methods block as CRI calls do; any thread may call them.

    To create a container, pass a whole `api.Container` message, as a runtime has it before it asks plugins: id, name, env, mounts, and
    linux.resources as kubelet computed them.
    """

    def __init__(self, identity: RuntimeIdentity, kernel: KernelLimits) -> None:
        self.identity = identity
        self.kernel = kernel
        self.pods: dict[str, PodState] = {}
        self.containers: dict[str, ContainerState] = {}
        self._log = RuntimeLog()
        self._lock = threading.RLock()
        self._plugins = Plugins(identity, self._log.add)
        self._pids = itertools.count(10000)

    # -- pods ---------------------------------------------------------------------------------------------------------

    def preload(self, pods: Iterable[api.PodSandbox], containers: Iterable[api.Container] = ()) -> None:
        """Pods and containers that run already: plugins get them by Synchronize only."""
        with self._lock:
            for pod in pods:
                self.pods[pod.id] = PodState(pod)
            for container in containers:
                container.state = api.CONTAINER_RUNNING
                state = ContainerState(container.pod_sandbox_id, container, container)
                self._write_again(state)
                self.containers[container.id] = state

    def run_pod_sandbox(self, pod: api.PodSandbox) -> PodState:
        """Start a pod. Raises CRIError; then the pod does not exist, and plugins have seen it stopped and removed."""
        with self._lock:
            state = PodState(pod)
            self.pods[pod.id] = state
            try:
                self._notify_pod(NRIEvent.RUN_POD_SANDBOX, api.RunPodSandboxRequest, state)
            except EventFailed as error:
                self._log_failure(NRIEvent.STOP_POD_SANDBOX, api.StopPodSandboxRequest, state)
                self._log_failure(NRIEvent.REMOVE_POD_SANDBOX, api.RemovePodSandboxRequest, state)
                del self.pods[pod.id]
                raise CRIError("RunPodSandbox", str(error)) from error
            return state

    def update_pod_sandbox(
        self, pod_id: str, resources: api.LinuxResources, overhead: api.LinuxResources | None = None
    ) -> None:
        """Kubelet resizes a pod as a whole; only NRI >= 0.10 sends that to plugins. Raises CRIError."""
        with self._lock:
            state = self._pod("UpdatePodSandbox", pod_id)
            request = api.UpdatePodSandboxRequest(
                pod=state.as_sent(self.identity.nri),
                linux_resources=_as_kubelet_asks(resources),
                overhead_linux_resources=_as_kubelet_asks(overhead or api.LinuxResources()),
            )
            try:
                self._plugins.notify(NRIEvent.UPDATE_POD_SANDBOX, request)
            except EventFailed as error:
                raise CRIError("UpdatePodSandbox", str(error)) from error
            if not self.identity.is_crio:
                self._log_failure(NRIEvent.POST_UPDATE_POD_SANDBOX, api.PostUpdatePodSandboxRequest, state)

    def stop_pod_sandbox(self, pod_id: str) -> None:
        """Stop a pod and its containers. Raises CRIError on CRI-O when a plugin fails."""
        with self._lock:
            state = self._pod("StopPodSandbox", pod_id)
            for container in [c for c in self.containers.values() if c.pod_id == pod_id]:
                self.stop_container(container.id)
            if state.stopped:
                return
            state.stopped = True
            if not state.known:
                return
            try:
                self._notify_pod(NRIEvent.STOP_POD_SANDBOX, api.StopPodSandboxRequest, state)
            except EventFailed as error:
                self._log.add(f"StopPodSandbox of {pod_id}: {error}")
                if self.identity.is_crio:
                    raise CRIError("StopPodSandbox", str(error)) from error

    def remove_pod_sandbox(self, pod_id: str) -> None:
        """Remove a pod and its containers; stop what still runs."""
        with self._lock:
            self.stop_pod_sandbox(pod_id)
            for container in [c for c in self.containers.values() if c.pod_id == pod_id]:
                self.remove_container(container.id)
            state = self.pods.pop(pod_id)
            if state.known:
                self._log_failure(NRIEvent.REMOVE_POD_SANDBOX, api.RemovePodSandboxRequest, state)

    # -- containers ---------------------------------------------------------------------------------------------------

    def create_container(self, pod_id: str, container: api.Container) -> ContainerState:
        """Create a container. Returns its state with the adjusted spec. Raises CRIError; then it does not exist."""
        with self._lock:
            pod = self._pod("CreateContainer", pod_id)
            requested, spec = api.Container(), api.Container()
            requested.CopyFrom(container)
            requested.pod_sandbox_id = pod_id
            requested.state = api.CONTAINER_UNKNOWN
            spec.CopyFrom(requested)
            state = ContainerState(pod_id, requested, spec)
            try:
                self._adjust(pod, state)
                spec.state, spec.created_at = api.CONTAINER_CREATED, time.time_ns()
            except (EventFailed, Conflict, SpecError) as error:
                if not self.identity.is_crio:
                    self._notify_stop(state)
                    self._log_failure(NRIEvent.REMOVE_CONTAINER, api.RemoveContainerRequest, pod, state)
                raise CRIError("CreateContainer", str(error)) from error
            self.containers[spec.id] = state
            self._log_failure(NRIEvent.POST_CREATE_CONTAINER, api.PostCreateContainerRequest, pod, state)
            return state

    def start_container(self, container_id: str) -> None:
        """Start a container. Raises CRIError when the OCI runtime cannot (see `KernelLimits`) or, except on CRI-O, a plugin fails."""
        with self._lock:
            state = self._container("StartContainer", container_id)
            pod = self.pods[state.pod_id]
            try:
                oci.check_start(state.spec, self.kernel)
            except SpecError as error:
                state.spec.state = api.CONTAINER_STOPPED
                raise CRIError("StartContainer", f"failed to create containerd task: OCI runtime: {error}") from error
            state.spec.pid = next(self._pids)
            self._write_again(state)
            try:
                self._notify(NRIEvent.START_CONTAINER, api.StartContainerRequest, pod, state)
            except EventFailed as error:
                if not self.identity.is_crio:
                    self.stop_container(container_id)
                    raise CRIError("StartContainer", str(error)) from error
                self._log.add(f"StartContainer of {container_id}: {error}")
            state.spec.state, state.spec.started_at = api.CONTAINER_RUNNING, time.time_ns()
            self._log_failure(NRIEvent.POST_START_CONTAINER, api.PostStartContainerRequest, pod, state)

    def update_container(self, container_id: str, resources: api.LinuxResources) -> ContainerState:
        """Kubelet resizes a container; 0 and "" leave a value unchanged. Raises CRIError; then nothing has changed."""
        with self._lock:
            state = self._container("UpdateContainerResources", container_id)
            pod = self.pods[state.pod_id]
            version = self.identity.nri
            request = api.UpdateContainerRequest(
                pod=pod.as_sent(version), container=state.as_sent(version), linux_resources=_as_kubelet_asks(resources)
            )
            updates = Updates(Owners(), request)
            try:
                answers.updates(self._plugins, NRIEvent.UPDATE_CONTAINER, request, updates)
                self._apply_others(updates)
                asked = updates.own.linux.resources if updates.own is not None else request.linux_resources
                if self.identity.checks_memory_limit and asked.memory.limit.value < 0:
                    limit = asked.memory.limit.value
                    raise SpecError(f"invalid memory limit: {limit} bytes (cannot be negative)")
                self._apply(state, asked)
            except (EventFailed, Conflict, SpecError) as error:
                raise CRIError("UpdateContainerResources", str(error)) from error
            self._log_failure(NRIEvent.POST_UPDATE_CONTAINER, api.PostUpdateContainerRequest, pod, state)
            return state

    def stop_container(self, container_id: str) -> None:
        """Stop a container, or let it end. Plugins get one event; their answers cannot fail it."""
        with self._lock:
            state = self._container("StopContainer", container_id)
            if state.spec.state == api.CONTAINER_STOPPED:
                return
            state.spec.state, state.spec.pid, state.spec.finished_at = api.CONTAINER_STOPPED, 0, time.time_ns()
            if state.known:
                self._notify_stop(state)

    def remove_container(self, container_id: str) -> None:
        """Remove a container; stop it first."""
        with self._lock:
            self.stop_container(container_id)
            state = self.containers[container_id]
            if state.known:
                self._log_failure(NRIEvent.REMOVE_CONTAINER, api.RemoveContainerRequest, self.pods[state.pod_id], state)
            del self.containers[container_id]

    # -- plugins' answers ---------------------------------------------------------------------------------------------

    def _adjust(self, pod: PodState, state: ContainerState) -> None:
        version = self.identity.nri
        request = api.CreateContainerRequest(pod=pod.as_sent(version), container=state.as_sent(version))
        merged = answers.adjustments(self._plugins, request, version)
        oci.apply_adjustment(state.spec, merged.adjust, self.kernel)
        state.adjust = merged.adjust
        state.owners = merged.owners.of(state.id)
        self._apply_others(merged.updates)

    def _apply_others(self, updates: Updates) -> None:
        """Apply updates of containers other than the request's. On CRI-O a failure fails the request; elsewhere it is logged."""
        failed = self._apply_all(updates.others.values())
        if failed and self.identity.is_crio:
            raise EventFailed(f"failed to update containers {', '.join(failed)}")

    def _apply_all(self, updates: Iterable[api.ContainerUpdate]) -> list[str]:
        """Returns the ids whose update failed and whose failure is not ignored. Unknown ids succeed silently."""
        failed = []
        for update in updates:
            state = self.containers.get(update.container_id)
            if state is None:
                continue
            try:
                self._apply(state, update.linux.resources)
            except SpecError as error:
                self._log.add(f"update of container {update.container_id}: {error}")
                if not update.ignore_failure:
                    failed.append(update.container_id)
        return failed

    def _apply(self, state: ContainerState, resources: api.LinuxResources) -> None:
        """Raises SpecError and changes nothing when the container runs and the kernel refuses."""
        spec = api.Container()
        spec.CopyFrom(state.spec)
        oci.apply_update(spec, resources)
        if state.runs:
            oci.check_resources(spec, self.kernel)
            # CRI-O passes on only what the update names, containerd its whole stored spec.
            oci.write_levels(state.levels, resources if self.identity.is_crio else spec.linux.resources, self.kernel)
        state.spec = spec

    def _write_again(self, state: ContainerState) -> None:
        state.levels = oci.levels_of(self.kernel)
        oci.write_levels(state.levels, state.spec.linux.resources, self.kernel)

    # -- events to plugins --------------------------------------------------------------------------------------------

    def _notify_pod(self, event: NRIEvent, request: Any, pod: PodState) -> None:
        self._plugins.notify(event, request(pod=pod.as_sent(self.identity.nri)))

    def _notify(self, event: NRIEvent, request: Any, pod: PodState, state: ContainerState) -> None:
        version = self.identity.nri
        self._plugins.notify(event, request(pod=pod.as_sent(version), container=as_sent(state.spec, version)))

    def _log_failure(self, event: NRIEvent, request: Any, pod: PodState, state: ContainerState | None = None) -> None:
        """Send an event whose errors cost no more than a line in the log."""
        try:
            if state is None:
                self._notify_pod(event, request, pod)
            else:
                self._notify(event, request, pod, state)
        except EventFailed as error:
            self._log.add(f"{event.name} of {pod.message.id if state is None else state.id}: {error}")

    def _notify_stop(self, state: ContainerState) -> None:
        version = self.identity.nri
        request = api.StopContainerRequest(
            pod=self.pods[state.pod_id].as_sent(version), container=state.as_sent(version)
        )
        updates = Updates(Owners())
        try:
            answers.updates(self._plugins, NRIEvent.STOP_CONTAINER, request, updates)
        except (EventFailed, Conflict) as error:
            self._log.add(f"STOP_CONTAINER of {state.id}: {error}")
        with contextlib.suppress(EventFailed):
            self._apply_others(updates)

    def _pod(self, call: str, pod_id: str) -> PodState:
        state = self.pods.get(pod_id)
        if state is None:
            raise CRIError(call, f'no pod sandbox "{pod_id}", expected one of {len(self.pods)} that were run')
        return state

    def _container(self, call: str, container_id: str) -> ContainerState:
        state = self.containers.get(container_id)
        if state is None:
            raise CRIError(
                call, f'no container "{container_id}", expected one of {len(self.containers)} that were created'
            )
        return state


def _as_kubelet_asks(resources: api.LinuxResources) -> api.LinuxResources:
    """Runtimes always send these four fields; 0 means not asked for (nri.md 5.3)."""
    asked = api.LinuxResources()
    asked.CopyFrom(resources)
    for message in (asked.cpu.shares, asked.cpu.quota, asked.cpu.period, asked.memory.limit):
        message.SetInParent()
    return asked
