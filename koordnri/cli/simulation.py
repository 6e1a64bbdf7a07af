"""Runs pods through their life: the real daemon, a real unix socket, the embedded runtime. It leaves nothing behind."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from koordnri.cli.explanation import Explanation, read_pod
from koordnri.cli.inputs import Inputs
from koordnri.cli.outcome import result_of
from koordnri.daemon.config import Config
from koordnri.daemon.cpu_notices import LACKING
from koordnri.daemon.daemon import Daemon
from koordnri.daemon.events import Events
from koordnri.daemon.exclusive_cpus import ExclusiveCPUs
from koordnri.daemon.wiring import Given, Parts
from koordnri.kubelet import SimulatedPod
from koordnri.model import Container, Decision, Event, NodeState, Pod
from koordnri.model.decision import HookError
from koordnri.policy import Policy
from koordnri.runtime import CRIError, KernelLimits, Runtime
from koordnri.wire import api_pb2 as api

CONNECT_TIMEOUT_S = 20.0
"""How long the daemon may take to register; on an idle machine it takes a tenth of a second."""


class SimulationError(Exception):
    """The daemon did not do what was expected; the message has the end of its log."""


@dataclass(slots=True)
class ContainerLife:
    """One container: how far it came, and its state at the end."""

    requested: api.Container
    """as kubelet asked"""
    spec: api.Container | None = None
    """as it ran; None when it was not created"""
    failed: str = ""
    """the call that failed, and the runtime's message"""
    decision: Decision = field(default_factory=Decision)
    """of its creation; of its resize if that decided otherwise"""


@dataclass(slots=True)
class PodLife:
    """One pod."""

    pod: Pod
    containers: dict[str, ContainerLife] = field(default_factory=dict)
    """by name, in the order of creation, up to the first that failed"""
    events: Counter[str] = field(default_factory=Counter)
    """events that the daemon was sent about it"""
    failed: str = ""
    """why the pod itself could not be started"""

    @property
    def failures(self) -> bool:
        """Whether something could not be created or started."""
        return bool(self.failed) or any(c.failed for c in self.containers.values())

    def as_json(self) -> dict[str, Any]:
        """The shape of `explain`, with `result` (null: not created) and `failed` per container, and `events`.

        The pod's fields are those that the daemon wrote into the pod's own cgroup: none here.
        """
        decisions = {name: c.decision for name, c in self.containers.items()}
        explanation = Explanation(self.pod, Decision(), decisions, self.pod.verdicts)
        shape = explanation.as_json()
        for container in shape["containers"]:
            life = self.containers[container["name"]]
            container["result"] = None if life.spec is None else result_of(life.spec)
            if life.failed:
                container["failed"] = life.failed
        shape["events"] = dict(sorted(self.events.items()))
        if self.failed:
            shape["pod"]["failed"] = self.failed
        return shape


def simulate_pods(inputs: Inputs, policy_path: str | None) -> list[PodLife]:
    """Run all pods side by side, resize every container to the resources that it has, and remove everything.

    Raises SimulationError; OSError when a socket cannot be made.
    """
    decisions: dict[str, Decision] = {}
    shortages: list[str] = []

    def listen(pod: Pod, container: Container, event: Event, decision: Decision) -> None:
        if event is Event.CREATE:
            while shortages:
                message = shortages.pop().removeprefix(f"container {container.name} ")
                decision = decision.with_errors(HookError("cpuset", message, "pod"))
            decisions[container.id] = decision
        elif event is Event.UPDATE:
            decisions[container.id] = _followed(decisions[container.id], decision)

    with tempfile.TemporaryDirectory(prefix="koordnri-") as directory:
        runtime = Runtime(Path(directory, "nri.sock"), kernel=kernel_of(inputs.node, inputs.snapshot.policy))
        config = Config(
            nri_socket=str(Path(directory, "nri.sock")),
            policy_file=None if policy_path is None else Path(policy_path),
            node_name=inputs.node.name,
            state_dir=Path(directory, "state"),
            listen=None,
            log_level="warning",
        )
        with runtime, _log(Path(directory, "log")) as log_fd:
            specs = {pod.sandbox.uid: pod.spec for pod in inputs.pods}
            given = Given(
                inputs.node, specs, listener=listen, exclusive_cpus=lambda parts: _exclusive_cpus(parts, shortages)
            )
            daemon = Daemon(config, given, log_fd=log_fd)
            with _running(daemon):
                try:
                    runtime.wait_for_plugin(CONNECT_TIMEOUT_S)
                except TimeoutError as error:
                    raise SimulationError(f"{error}\n{_tail(directory)}") from None
                lives = _run(runtime, inputs)
                if not runtime.plugins:
                    raise SimulationError(
                        f"the runtime has thrown the daemon out: {runtime.log[-1]}\n{_tail(directory)}"
                    )
    for life in lives:
        for container in life.containers.values():
            container.decision = decisions.get(container.requested.id, container.decision)
    return lives


def kernel_of(node: NodeState, policy: Policy) -> KernelLimits:
    """What the described node refuses. Its runtime is assumed to know the block I/O classes that the policy names."""
    return KernelLimits(
        cgroup_version=node.cgroup_version,
        cgroup_files=node.cgroup_files,
        cpus=None if node.topology is None else node.topology.online,
        resctrl_groups=frozenset() if node.resctrl is None else node.resctrl.groups,
        blockio_classes=frozenset(policy.blkio.class_names.values()),
    )


def _followed(decision: Decision, later: Decision) -> Decision:
    """The decision with what the resize changed: a container in the share pool had other CPUs before all pods existed."""
    had = decision.settings
    changed = {n: s for n, s in later.settings.items() if n not in had or not s.field.same(had[n].value, s.value)}
    skipped = {name: why for name, why in decision.skipped.items() if name not in changed}
    return decision._replace(skipped=skipped).with_settings(changed)


class _ExclusiveCPUs(ExclusiveCPUs):
    """No container really runs on the described node, so no CPUs have to be cleared before a container starts. Containers in the share
    pool follow when they are resized.
    """

    def gave(self, pod: Pod, container_id: str) -> None:
        """See `session.exclusive_cpus`."""


class _Shortages(Events):
    """Keeps the messages about containers that want exclusive CPUs and get none."""

    def __init__(self, messages: list[str]) -> None:
        self._messages = messages

    def warn_pod(self, pod: Pod, reason: str, message: str) -> None:
        """See Events."""
        if reason == LACKING:
            self._messages.append(message)


def _exclusive_cpus(parts: Parts, shortages: list[str]) -> ExclusiveCPUs:
    """`shortages` gets a message for each container that wants exclusive CPUs and shares instead, before it is decided."""
    return _ExclusiveCPUs(
        parts.allocator,
        parts.ledger,
        parts.requests,
        parts.present,
        lambda pod_id: None,
        _Shortages(shortages),
        parts.log,
    )


def _run(runtime: Runtime, inputs: Inputs) -> list[PodLife]:
    lives = []
    for pod in inputs.pods:
        life = PodLife(inputs.snapshot.believed(read_pod(pod)))
        lives.append(life)
        with _counting(runtime, life):
            _bring_up(runtime, pod, life)
    for life in lives:
        with _counting(runtime, life):
            _resize(runtime, life)
    for life in lives:
        if not life.failed:
            with _counting(runtime, life):
                runtime.stop_pod_sandbox(life.pod.id)
                runtime.remove_pod_sandbox(life.pod.id)
    return lives


def _bring_up(runtime: Runtime, pod: SimulatedPod, life: PodLife) -> None:
    try:
        runtime.run_pod_sandbox(pod.sandbox)
    except CRIError as error:
        life.failed = str(error)
        return
    for message in pod.containers:
        container = life.containers[message.name] = ContainerLife(message)
        try:
            state = runtime.create_container(pod.sandbox.id, message)
            container.spec = state.spec
            runtime.start_container(message.id)
        except CRIError as error:
            container.failed = str(error)
            if message.name in pod.run_first:
                return  # kubelet creates no container that waits for this one
            continue
        if message.name in pod.run_first:
            runtime.stop_container(message.id)
            container.spec = state.spec


def _resize(runtime: Runtime, life: PodLife) -> None:
    """kubelet asks for the same resources again: nothing may change."""
    for container in life.containers.values():
        state = runtime.containers.get(container.requested.id)
        if state is None or not state.runs:
            continue
        try:
            container.spec = runtime.update_container(state.id, _asked(container.requested.linux.resources)).spec
        except CRIError as error:
            container.failed = str(error)


def _asked(resources: api.LinuxResources) -> api.LinuxResources:
    asked = api.LinuxResources()
    asked.cpu.CopyFrom(resources.cpu)
    asked.memory.CopyFrom(resources.memory)
    return asked


@contextmanager
def _counting(runtime: Runtime, life: PodLife) -> Iterator[None]:
    before = len(runtime.calls)
    yield
    life.events.update(call.event for call in runtime.calls[before:])


@contextmanager
def _running(daemon: Daemon) -> Iterator[None]:
    failure: list[BaseException] = []

    def run() -> None:
        try:
            daemon.run()
        except BaseException as error:  # noqa: BLE001  # raised again below, in the main thread
            failure.append(error)

    thread = threading.Thread(target=run, name="daemon")
    thread.start()
    try:
        yield
    finally:
        daemon.stop()
        thread.join()
        if failure:
            raise failure[0]  # if the body failed too, this is the cause


@contextmanager
def _log(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def _tail(directory: str) -> str:
    lines = Path(directory, "log").read_text(errors="replace").splitlines()
    return "the daemon's log:\n" + "\n".join(lines[-10:])
