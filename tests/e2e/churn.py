"""A busy node: clients that create and remove containers as fast as they can, and a policy that flips under them.

    with Load(runtime, daemon) as load:
        load.populate(6)
        with load.busy(0.2):
            load.wait(60)
        load.flip(LAST)
        eventually(lambda: not load.differences(LAST), ...)

Every call is kept with its time, every container with what kubelet asked for. What a container must have under a policy is computed here
by rules of the test's own (`Kind`), which know nothing of koordnri.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from tests.e2e import pods
from tests.e2e.containerd import Containerd
from tests.e2e.cri import CRI
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Kubelet, Pod
from tests.e2e.pods import MIB, UNLIMITED

CALL_TIMEOUT_S = 20.0
"""A frozen runtime ends a client by this, and the test."""
HELD = 3
"""Pods of its own that a client lets run before it ends the oldest."""
LATE = 4
"""Pods that a client has ended and not removed yet."""
NAMES = ("main", "side")
BASELINE = "koordnri.io/baseline"
"""The annotation that each container gets whose creation koordnri was asked about."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the flips change: by how much quotas are divided, and whether the hooks of CPU time and of memory have a say at all."""

    ratio: int = 1
    cfs_quota: bool = True
    memory: bool = True

    def text(self) -> str:
        """The policy file."""
        off = {"cfs_quota": not self.cfs_quota, "memory": not self.memory}
        config = {"clusterStrategy": {"hooks": {name: {"mode": "off"} for name, is_off in off.items() if is_off}}}
        normalization = {"enable": self.ratio > 1, "defaultRatio": float(max(self.ratio, 1))}
        # JSON is YAML.
        return json.dumps({"cpu-normalization-config": normalization, "koordnri-config": config}) + "\n"


FLIPS = (
    Policy(),
    Policy(ratio=2),
    Policy(ratio=2, memory=False),
    Policy(cfs_quota=False),
    Policy(ratio=5),
    Policy(ratio=2, cfs_quota=False, memory=False),
)
"""Quotas, shares and memory limits go up and down between them, some to kubelet's own and back."""

Values = dict[str, int | str]


@dataclass(frozen=True, slots=True)
class Kind:
    """What kubelet asks for one container, 0 for nothing, and what Koordinator's scheduler and webhook say of its pod."""

    name: str
    qos: str
    label: str = ""
    request_m: int = 0
    limit_m: int = 0
    memory: int = 0
    batch_m: int = 0
    batch_memory: int = 0
    cpus: str = ""

    def annotations(self, count: int) -> dict[str, str]:
        """Of a pod of `count` containers."""
        if self.cpus:
            return {pods.RESOURCE_STATUS: json.dumps({"cpuset": self.cpus})}
        if self.batch_m:
            amounts = {
                "kubernetes.io/batch-cpu": str(self.batch_m),
                "kubernetes.io/batch-memory": str(self.batch_memory),
            }
            spec = {"containers": {name: {"requests": amounts, "limits": amounts} for name in NAMES[:count]}}
            return {pods.EXTENDED_RESOURCES: json.dumps(spec)}
        return {}

    def values(self, policy: Policy, containers: int = 0) -> Values:
        """What the cgroup of a container, or of a pod of so many `containers`, must hold under a policy."""
        count = containers or 1
        request_m, limit_m, memory = self.request_m, self.limit_m, self.memory
        if policy.cfs_quota:
            request_m, limit_m = request_m + self.batch_m, limit_m + self.batch_m
            if self.cpus:
                limit_m = 0
        if policy.memory:
            memory += self.batch_memory
        # On cgroup v1 kubelet's quota of a pod stays: see the hook cfs_quota.
        ratio = policy.ratio if policy.cfs_quota and (self.batch_m or not containers) else 1
        return {
            "cpu.quota": limit_m * count * 100 // ratio or UNLIMITED,
            "cpu.shares": max(request_m * count * 1024 // 1000, 2),
            "memory.limit": memory * count or UNLIMITED,
        }


KINDS = (
    Kind("latency-sensitive", "Burstable", "LS", request_m=400, limit_m=800, memory=64 * MIB),
    Kind("batch", "BestEffort", "BE", batch_m=500, batch_memory=96 * MIB),
    Kind("no class", "Burstable", request_m=250, limit_m=500, memory=48 * MIB),
    Kind("pinned", "Guaranteed", "LSR", request_m=1000, limit_m=1000, memory=64 * MIB, cpus=pods.PINNED_CPUS),
)


class Span:
    """A time during which somebody is away; open until it ends."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.ended = math.inf


class Call(NamedTuple):
    """One CRI call; times are of the monotonic clock."""

    method: str
    began: float
    ended: float
    code: grpc.StatusCode | None
    """None: OK"""

    @property
    def took_s(self) -> float:
        return self.ended - self.began

    def overlaps(self, spans: Iterable[Span]) -> bool:
        """Whether it was under way during one of them."""
        return any(self.began <= span.ended and self.ended >= span.began for span in spans)


class TimedCRI(CRI):
    """Keeps the times of its calls."""

    def __init__(self, socket: Path) -> None:
        super().__init__(socket)
        self.calls: list[Call] = []

    def call(self, method: str, timeout_s: float = CALL_TIMEOUT_S, **fields: Any) -> Any:
        began, code = time.monotonic(), None
        try:
            return super().call(method, timeout_s, **fields)
        except grpc.RpcError as error:
            code = error.code()
            raise
        finally:
            self.calls.append(Call(method, began, time.monotonic(), code))


class Made(NamedTuple):
    """A container that was started."""

    id: str
    kind: Kind
    creation: Call
    annotated: bool
    """whether koordnri's annotation is in the spec that the runtime stored"""
    stored: Values
    """quota and memory limit of that spec"""
    directories: dict[str, Path]
    """its cgroups"""


class Client:
    """A kubelet of its own with a connection of its own; one thread at a time."""

    def __init__(self, runtime: Containerd, outages: Sequence[Span]) -> None:
        self.cri = TimedCRI(runtime.socket)
        self.kubelet = Kubelet(runtime, self.cri)
        self.made: list[Made] = []
        """everything, also what was removed since"""
        self.running: dict[str, list[Made]] = {}
        """uid of a pod that runs → its containers; one that a failed call left halfway is not here"""
        self._outages = outages

    def run_pod(self, kind: Kind, count: int) -> Pod:
        """Run a pod of `count` containers."""
        pod = self.kubelet.run_pod(
            qos=kind.qos,
            labels={pods.QOS_CLASS: kind.label} if kind.label else None,
            annotations=kind.annotations(count),
            cpu_request_m=kind.request_m * count,
            cpu_limit_m=kind.limit_m * count,
            memory_limit=kind.memory * count,
        )
        self.running[pod.uid] = [self._run_container(pod, kind, name) for name in NAMES[:count]]
        return pod

    def end_pod(self, pod: Pod) -> None:
        """End a pod, and remove another one that ended a while ago."""
        self.running.pop(pod.uid, None)
        self.kubelet.end_pod(pod)
        self.kubelet.collect(keep=LATE)

    def churn(self, stop: threading.Event, kinds: Iterator[Kind]) -> None:
        """Run and remove pods until asked to stop. Raises what a call raised, unless the runtime was down."""
        held: list[Pod] = []
        for turn in itertools.count():
            if stop.is_set():
                return
            with self._tolerance():
                held.append(self.run_pod(next(kinds), 1 + turn % len(NAMES)))
            if len(held) > HELD:
                with self._tolerance():
                    self.end_pod(held.pop(0))

    def settle(self) -> None:
        """Remove the pods that an outage left halfway, as a kubelet does that finds them after it, and those that ended."""
        for pod in [pod for pod in self.kubelet.pods if pod.uid not in self.running]:
            mine = {"label_selector": {"io.kubernetes.pod.uid": pod.uid}}
            for container in self.cri.call("ListContainers", filter=mine).containers:
                self.cri.call("StopContainer", container_id=container.id)
                self.cri.call("RemoveContainer", container_id=container.id)
            for sandbox in self.cri.call("ListPodSandbox", filter=mine).items:
                pod.sandbox_id = sandbox.id
            self.kubelet.end_pod(pod)
        self.kubelet.collect()

    def unrecorded(self, made: Made) -> str | None:
        """In what the spec that the runtime stores differs from the container's cgroup files, if it does."""
        stored = _stored(self._info(made.id))
        files = {name: self.kubelet.cgroups.read(made.directories, name) for name in stored}
        return None if stored == files else f"{made.kind.name} {made.id[:12]}: stored {stored}, files {files}"

    def close(self) -> None:
        """Remove every pod that is left, and close the connection."""
        try:
            with contextlib.suppress(grpc.RpcError):
                self.running.clear()
                self.settle()
            self.kubelet.cleanup()
        finally:
            self.cri.close()

    def _run_container(self, pod: Pod, kind: Kind, name: str) -> Made:
        container = self.kubelet.create_container(
            pod, name, cpu_request_m=kind.request_m, cpu_limit_m=kind.limit_m, memory_limit=kind.memory
        )
        creation = self.cri.calls[-1]
        self.cri.call("StartContainer", container_id=container.id)
        info = self._info(container.id)
        made = Made(
            container.id,
            kind,
            creation,
            BASELINE in info["runtimeSpec"].get("annotations", {}),
            _stored(info),
            self.kubelet.cgroups.of(info["pid"]),
        )
        self.made.append(made)
        return made

    def _info(self, container_id: str) -> Any:
        return json.loads(self.cri.call("ContainerStatus", container_id=container_id, verbose=True).info["info"])

    @contextlib.contextmanager
    def _tolerance(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError:
            if not self.cri.calls[-1].overlaps(self._outages):
                raise


class Load:
    """Two clients and the policy's flips on one runtime and daemon, and the books of it all."""

    def __init__(self, runtime: Containerd, daemon: Daemon) -> None:
        self.runtime_away: list[Span] = []
        """times in which calls may fail and last"""
        self.daemon_away: list[Span] = []
        """times in which a container may be created without koordnri"""
        self.clients = [Client(runtime, self.runtime_away) for _ in range(2)]
        self.flips = 0
        self._runtime = runtime
        self.daemon = daemon
        self._stop = threading.Event()
        self._failed = threading.Event()
        self._failures: list[BaseException] = []

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *exception: object) -> None:
        print(self.report())
        if any(call.code is grpc.StatusCode.DEADLINE_EXCEEDED for call in self.calls):
            # Frozen for good, so that nothing can be removed.
            self._runtime.restart()
        for client in self.clients:
            client.close()

    # what happens

    def populate(self, pods_each: int) -> None:
        """Each client runs so many pods of two containers, all kinds in turn, which stay until the end."""
        with self._threads([lambda c=client: self._populate(c, pods_each) for client in self.clients]):
            pass

    @contextlib.contextmanager
    def busy(self, flip_s: float) -> Iterator[None]:
        """Churn meanwhile, and a flip every so often. Raises what one of the threads raised."""
        kinds = [itertools.cycle(KINDS[i:] + KINDS[:i]) for i in range(len(self.clients))]
        runs = [lambda c=c, k=k: c.churn(self._stop, k) for c, k in zip(self.clients, kinds, strict=True)]
        with self._threads([*runs, lambda: self._keep_flipping(flip_s)]):
            yield

    def wait(self, seconds: float) -> None:
        """Let it go on for so long, or until a thread fails."""
        self._failed.wait(seconds)

    def flip(self, policy: Policy) -> None:
        """Put another policy in place, by a rename as a mounted ConfigMap changes."""
        new = self.daemon.policy_file.with_suffix(".new")
        new.write_text(policy.text())
        os.replace(new, self.daemon.policy_file)
        self.flips += 1

    @contextlib.contextmanager
    def away(self, *spans: list[Span]) -> Iterator[None]:
        """Somebody is away meanwhile, see `runtime_away` and `daemon_away`."""
        span = Span()
        for each in spans:
            each.append(span)
        try:
            yield
        finally:
            span.ended = time.monotonic()

    # what came of it

    @property
    def calls(self) -> list[Call]:
        return [call for client in self.clients for call in client.cri.calls]

    def done(self, method: str) -> int:
        """Calls of a method that succeeded."""
        return sum(call.method == method and call.code is None for call in self.calls)

    def slow(self, limit_s: float) -> list[Call]:
        """Calls that took longer while the runtime was there."""
        return [call for call in self.calls if call.took_s > limit_s and not call.overlaps(self.runtime_away)]

    def unadjusted(self, policies: Iterable[Policy]) -> list[str]:
        """Containers of whose creation koordnri was not asked though it was there, or that got what none of the policies decides."""
        found = []
        for made in [made for client in self.clients for made in client.made]:
            if made.creation.overlaps(self.daemon_away):
                continue
            allowed = [{name: made.kind.values(policy)[name] for name in made.stored} for policy in policies]
            if not made.annotated or made.stored not in allowed:
                found.append(f"{made.kind.name} {made.id[:12]}: annotated {made.annotated}, stored {made.stored}")
        return found

    def differences(self, policy: Policy) -> list[str]:
        """Cgroup files of running containers and their pods that do not hold what the policy says."""
        found = []
        for client in self.clients:
            for uid, containers in client.running.items():
                kind, own = containers[0].kind, containers[0].directories
                pod = {controller: directory.parent for controller, directory in own.items()}
                found += _differences(client.kubelet, f"pod {uid}", pod, kind, kind.values(policy, len(containers)))
                for made in containers:
                    expected = kind.values(policy) | ({"cpu.cpus": kind.cpus} if kind.cpus else {})
                    found += _differences(client.kubelet, made.id[:12], made.directories, kind, expected)
        return found

    def unrecorded(self) -> list[str]:
        """Running containers whose cgroup files the runtime's stored spec does not agree with."""
        running = ((client, made) for client in self.clients for own in client.running.values() for made in own)
        return [difference for client, made in running if (difference := client.unrecorded(made))]

    def listed(self) -> tuple[int, int]:
        """(pods, containers) that the runtime knows."""
        cri = self._runtime.cri
        return len(cri.call("ListPodSandbox").items), len(cri.call("ListContainers").containers)

    def report(self) -> str:
        """How long the calls took, by method."""
        by_method: dict[str, list[float]] = {}
        for call in self.calls:
            if not call.overlaps(self.runtime_away):
                by_method.setdefault(call.method, []).append(call.took_s * 1000)
        lines = [f"{self._runtime.name}: {len(self.calls)} calls, {self.flips} flips; ms while the runtime was there:"]
        for method, times in sorted(by_method.items()):
            times.sort()
            p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
            lines.append(f"  {method:20} {len(times):6}  p50 {p50:6.0f}  p99 {p99:6.0f}  max {times[-1]:6.0f}")
        return "\n".join(lines)

    def _populate(self, client: Client, count: int) -> None:
        for kind in itertools.islice(itertools.cycle(KINDS), count):
            client.run_pod(kind, len(NAMES))

    def _keep_flipping(self, flip_s: float) -> None:
        policies = itertools.cycle(FLIPS)
        while not self._stop.wait(flip_s):
            self.flip(next(policies))

    @contextlib.contextmanager
    def _threads(self, runs: Iterable[Callable[[], None]]) -> Iterator[None]:
        """Run these beside the body, then stop them. The first that failed is raised."""
        self._stop.clear()
        threads = [threading.Thread(target=self._guarded, args=(run,)) for run in runs]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
        if self._failures:
            raise self._failures[0]

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001  # raised where the threads are joined
            self._failures.append(error)
            self._failed.set()


def _stored(info: Any) -> Values:
    resources = info["runtimeSpec"]["linux"]["resources"]
    return {
        "cpu.quota": resources.get("cpu", {}).get("quota") or UNLIMITED,
        "memory.limit": resources.get("memory", {}).get("limit") or UNLIMITED,
    }


def _differences(kubelet: Kubelet, who: str, directories: dict[str, Path], kind: Kind, expected: Values) -> list[str]:
    found = []
    for name, value in expected.items():
        try:
            if name == "cpu.shares":
                has: object = value if kubelet.cgroups.has_shares(directories, int(value)) else "others"
            else:
                has = kubelet.cgroups.read(directories, name)
        except OSError as error:
            has = error
        if has != value:
            found.append(f"{who} ({kind.name}): {name} is {has}, expected {value}")
    return found
