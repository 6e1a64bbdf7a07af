"""Measures the node once per tick: reads counters of the machine and of the pods' cgroups, and makes `Signals` of them.

It reads only what a controller that is on needs, keeps the files open, and gives way to the event path. Nothing here raises for what has
vanished meanwhile: then a figure is None, or a pod is left out.
"""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from koordnri.control.around import NOTHING_AROUND, Around
from koordnri.control.class_requests import ClassRequests, class_requests
from koordnri.control.gauge import NO_LOAD, SLOW_TICKS, Gauge, Needs
from koordnri.control.requests import cpu_limit_milli, cpu_request_milli, memory_request_bytes
from koordnri.control.signals import ContainerSignals, Load, PodSignals, Signals
from koordnri.host.cgroup.paths import container_directory, pod_directory
from koordnri.host.usage.files import UsageFiles
from koordnri.host.usage.machine import MachineFiles, MachineTimes
from koordnri.host.usage.waiting import Waiting, read_waiting, waited_ns
from koordnri.model import CPUSet, NodeError, Pod
from koordnri.model.fields import CPU_CPUS
from koordnri.state.entry import Entry
from koordnri.state.ledger import Ledger
from koordnri.state.world import World

WAITING_PER_TICK = 20
"""Containers whose threads are read per tick, in turn: that costs a file for each thread."""
SPARE_FILES = 512
"""Descriptors that are left to the rest of the process."""
_PAUSE_S = 0.00001
"""After each pod, if the runtime is busy: see koordnri.host.cgroup.files.PacedFiles."""
_NS = 1_000_000_000


class Demand(NamedTuple):
    """What a tick must read. Each controller states its own; those that are on are joined by `|`."""

    pods: Needs = Needs(cpu=True)
    containers: Needs = Needs()
    machine_pressure: bool = False
    waiting: bool = False
    """how long threads wait for a CPU, of WAITING_PER_TICK containers"""

    def __or__(self, other: object) -> Demand:
        """What either demands."""
        if not isinstance(other, Demand):
            return NotImplemented
        return Demand(
            self.pods | other.pods,
            self.containers | other.containers,
            self.machine_pressure or other.machine_pressure,
            self.waiting or other.waiting,
        )


class _Sampled(NamedTuple):
    """What is known of a pod as long as neither it nor its containers change."""

    pod: Pod
    entries: list[Entry]
    gauge: Gauge
    containers: list[Gauge]
    limits_milli: list[int | None]
    cpu_request_milli: int
    memory_request_bytes: int
    of_class: ClassRequests


class Sampler:
    """Used by one thread.

    files    the host's files, of the cgroup version at hand
    is_busy  whether other threads should not be kept waiting
    """

    def __init__(
        self,
        ledger: Ledger,
        files: Callable[[], UsageFiles],
        is_busy: Callable[[], bool] = lambda: False,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ledger = ledger
        self._make_files = files
        self._is_busy = is_busy
        self._pause = pause
        self._files: UsageFiles | None = None
        self._machine: MachineFiles | None = None
        self._demand = Demand()
        self._pods: dict[str, _Sampled] = {}
        """id of a pod → the pod"""
        self._applications: dict[str, Gauge] = {}
        self._last: tuple[float, MachineTimes] | None = None
        self._waiting: dict[str, tuple[float, Waiting]] = {}
        """id of a container → when its threads were read, and how long each had waited"""
        self._turn = self._made = 0
        self._open_files = 0
        self._most_open = max(resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES, 0)

    def sample(self, now_s: float, demand: Demand, world: World, around: Around = NOTHING_AROUND) -> Signals:
        """Measure. `now_s`: monotonic clock."""
        if self._files is None or demand != self._demand:
            self.close()
            self._files, self._demand = self._make_files(), demand
            self._machine = MachineFiles(self._files)
        files, machine = self._files, self._machine
        assert machine is not None, "it is made with the files"
        node = world.snapshot.node
        load, stolen, interval_s, capacity = self._of_machine(machine, now_s)
        pods = dict(self._of_pods(files, now_s, world))
        reserved = max(len(node.kubelet_reserved) * 1000, len(node.reserved_cpus) * 1000, around.reserved_milli)
        cpus = node.topology.online if node.topology is not None else CPUSet()
        return Signals(
            now_s,
            interval_s,
            cpus,
            load,
            capacity,
            pods,
            self._of_applications(files, now_s, around.applications),
            stolen,
            reserved,
            around.be_allocatable_milli,
            around.be_allocatable_bytes,
            around.mid_allocatable_milli,
            around.mid_allocatable_bytes,
        )

    def close(self) -> None:
        """Give all descriptors back, and forget what was measured: nobody needs it for now."""
        for sampled in self._pods.values():
            self._drop(sampled)
        for gauge in self._applications.values():
            gauge.close()
        if self._machine is not None:
            self._machine.close()
        self._pods, self._applications, self._waiting = {}, {}, {}
        self._files = self._machine = self._last = None
        self._open_files = 0

    # -- the machine --------------------------------------------------------------------------------------------------

    def _of_machine(self, machine: MachineFiles, now_s: float) -> tuple[Load, float | None, float, int]:
        """(load, stolen cores, s since the last tick, bytes of memory)."""
        times, last = machine.times(), self._last
        self._last = (now_s, times)
        interval_s = 0.0 if last is None else now_s - last[0]
        used = stolen = None
        if last is not None and interval_s > 0:
            used = _rate(last[1].busy_s, times.busy_s, interval_s)
            stolen = _rate(last[1].stolen_s, times.stolen_s, interval_s)
        capacity, memory = machine.memory()
        pressure: list[float | None] = [None, None, None]
        if self._demand.machine_pressure:
            pressure = [machine.pressure(what) for what in ("cpu", "memory", "io")]
        load = Load(
            used_cores=used,
            cpu_pressure=pressure[0],
            memory_pressure=pressure[1],
            io_pressure=pressure[2],
            memory_bytes=memory,
        )
        return load, stolen, interval_s, capacity

    # -- pods ---------------------------------------------------------------------------------------------------------

    def _of_pods(self, files: UsageFiles, now_s: float, world: World) -> Iterator[tuple[str, PodSignals]]:
        there: dict[str, _Sampled] = {}
        for pod in self._ledger.pods():
            entries = [e for e in self._ledger.containers_of(pod.id) if e.started and not e.ended]
            if not entries:
                continue
            with contextlib.suppress(NodeError):
                there[pod.id] = self._known(files, pod, entries, world)
        before, self._pods = self._pods, there
        for pod_id, sampled in before.items():
            if there.get(pod_id) is not sampled:
                self._drop(sampled)
        if self._demand.waiting:
            self._sample_waiting(files, now_s)
        for sampled in there.values():
            yield sampled.pod.key, self._signals(sampled, now_s)
            if self._is_busy():
                self._pause(_PAUSE_S)

    def _known(self, files: UsageFiles, pod: Pod, entries: list[Entry], world: World) -> _Sampled:
        known = self._pods.get(pod.id)
        if (
            known is not None
            and known.pod is pod
            and len(known.entries) == len(entries)
            and all(map(_is, known.entries, entries))
        ):
            return known
        before = {} if known is None else {gauge.directory: gauge for gauge in (known.gauge, *known.containers)}
        demand = self._demand

        def gauge(directory: str, needs: Needs, *, container: bool) -> Gauge:
            found = before.pop(directory, None)
            if found is None:
                self._made += 1
                turn = self._made % SLOW_TICKS + 1
                found = Gauge(files, directory, needs, self._may_open, container=container, turn=turn)
            return found

        own = gauge(pod_directory(pod.cgroup_parent), demand.pods, container=False)
        inside = []
        if any(demand.containers) or demand.waiting:
            directories = (container_directory(pod.cgroup_parent, e.id, world.runtime) for e in entries)
            inside = [gauge(directory, demand.containers, container=True) for directory in directories]
        limits = [cpu_limit_milli(pod, entry) for entry in entries]
        requests = cpu_request_milli(pod, entries), memory_request_bytes(pod), class_requests(pod)
        return _Sampled(pod, entries, own, inside, limits, *requests)

    def _signals(self, sampled: _Sampled, now_s: float) -> PodSignals:
        loads = [gauge.load(now_s) for gauge in sampled.containers] or [NO_LOAD] * len(sampled.entries)
        containers = tuple(
            ContainerSignals(entry.id, entry.name, load, entry.baseline, limit, _cpus(entry))
            for entry, load, limit in zip(sampled.entries, loads, sampled.limits_milli, strict=True)
        )
        requests = sampled.cpu_request_milli, sampled.memory_request_bytes
        spec = sampled.pod.spec
        priority = None if spec is None else spec.priority
        return PodSignals(sampled.pod, sampled.gauge.load(now_s), containers, *requests, priority, sampled.of_class)

    def _sample_waiting(self, files: UsageFiles, now_s: float) -> None:
        """Read the threads of some containers, in turn."""
        all_ = [(e.id, g) for s in self._pods.values() for e, g in zip(s.entries, s.containers, strict=True)]
        ids = {container_id for container_id, _ in all_}
        self._waiting = {i: waiting for i, waiting in self._waiting.items() if i in ids}
        first = self._turn if self._turn < len(all_) else 0
        self._turn = first + WAITING_PER_TICK
        for container_id, gauge in all_[first : self._turn]:
            now, before = read_waiting(files, gauge.directory), self._waiting.pop(container_id, None)
            gauge.waited_cores = None
            if now is None:
                continue
            if before is not None and now_s > before[0]:
                gauge.waited_cores = waited_ns(before[1], now) / _NS / (now_s - before[0])
            self._waiting[container_id] = now_s, now

    # -- host applications --------------------------------------------------------------------------------------------

    def _of_applications(self, files: UsageFiles, now_s: float, applications: Mapping[str, str]) -> dict[str, Load]:
        there: dict[str, Gauge] = {}
        for name, directory in applications.items():
            known = self._applications.get(name)
            if known is not None and known.directory == directory:
                there[name] = known
            elif files.exists(directory):
                there[name] = Gauge(files, directory, Needs(cpu=True), self._may_open)
        for name, gauge in self._applications.items():
            if there.get(name) is not gauge:
                self._close(gauge)
        self._applications = there
        return {name: gauge.load(now_s) for name, gauge in there.items()}

    # -- descriptors --------------------------------------------------------------------------------------------------

    def _may_open(self) -> bool:
        if self._open_files >= self._most_open:
            return False
        self._open_files += 1
        return True

    def _close(self, gauge: Gauge) -> None:
        gauge.close()
        self._open_files = self._open_files - gauge.descriptors

    def _drop(self, sampled: _Sampled) -> None:
        """Close those gauges of a former state of a pod that its present state has not taken over."""
        now = self._pods.get(sampled.pod.id)
        kept = {id(g) for g in (now.gauge, *now.containers)} if now is not None and now is not sampled else set()
        for gauge in (sampled.gauge, *sampled.containers):
            if id(gauge) not in kept:
                self._close(gauge)


def _cpus(entry: Entry) -> CPUSet | None:
    """Its cpuset, as far as it was read or sent; else kubelet's; None: that of its parent cgroup."""
    text = entry.files.get(CPU_CPUS.name) or entry.sent.get(CPU_CPUS.name, ("",))[0] or entry.baseline.cpus
    try:
        return CPUSet.parse(text) if text else None
    except (TypeError, ValueError):
        return None


def _is(one: Entry, other: Entry) -> bool:
    return one is other


def _rate(before: float | None, after: float | None, took_s: float) -> float | None:
    return None if before is None or after is None else max(after - before, 0.0) / took_s
