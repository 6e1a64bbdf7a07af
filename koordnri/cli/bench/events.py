"""The part `events` of `bench`: cost of the event path, as the runtime measures it over a unix socket."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from koordnri.cli.bench import floor, load
from koordnri.cli.bench.daemon import BenchedDaemon, started
from koordnri.cli.bench.figures import BenchError, percentiles
from koordnri.cli.bench.load import Kind
from koordnri.cli.bench.policy import everything
from koordnri.runtime import Runtime
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import Version

WARM_UP = 40
"""Requests before the measured ones: the first of a kind pays for caches that later ones share."""
MANY = 2000


class ToCreate(NamedTuple):
    """A container to be created in a running pod."""

    kind: Kind
    pod: api.PodSandbox
    container: api.Container


class Run:
    """Figures of one daemon beside a number of running containers."""

    def __init__(self) -> None:
        self.create_us: dict[str, list[float]] = {}
        """kind of pod → round trips in µs"""
        self.remove_us: list[float] = []
        self.cpu_us = 0.0
        self.rss_bytes = 0
        self.registered_s = 0.0
        self.synchronized_s = 0.0
        self.request_bytes = 0.0

    @property
    def all_create_us(self) -> list[float]:
        """Round trips of all kinds."""
        return [us for kind in self.create_us.values() for us in kind]


def measure(requests: int, containers: int, version: Version) -> Run:
    """Start the daemon beside `containers` running ones, create and remove `requests` more, stop it. Raises BenchError."""
    with started(containers, version, everything(), cgroups=0) as daemon:
        return _measure(daemon, requests, containers)


def _measure(daemon: BenchedDaemon, requests: int, containers: int) -> Run:
    run, runtime = Run(), daemon.runtime
    run.registered_s, run.synchronized_s = daemon.registered_s, daemon.synchronized_s
    _work(runtime, containers, WARM_UP // 4, Run())
    # The daemon replies first and updates its ledger afterwards; only the next event shows that it has finished Synchronize.
    run.rss_bytes = daemon.rss_bytes()
    _work(runtime, containers + WARM_UP, WARM_UP, Run())
    pods = run_pods(runtime, containers + 2 * WARM_UP, requests)
    daemon.settle()
    with no_collection():
        before_s = daemon.cpu_s()
        create_and_remove_many(runtime, pods, run)
        run.cpu_us = (daemon.cpu_s() - before_s) * 1e6 / requests
    run.request_bytes = sum(load.request_bytes(one.pod, one.container) for one in pods) / requests
    return run


@contextmanager
def no_collection() -> Iterator[None]:
    """Without this process's garbage collector, which would add to the round trips."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def _work(runtime: Runtime, first: int, count: int, run: Run) -> None:
    create_and_remove_many(runtime, run_pods(runtime, first, count), run)


def run_pods(runtime: Runtime, first: int, count: int) -> list[ToCreate]:
    """Run pods of all kinds in turn, each with a container to be created. `first` is the first unused number."""
    made = []
    for number in range(first, first + count):
        kind = load.KINDS[number % len(load.KINDS)]
        pod = load.make_pod(kind, number)
        runtime.run_pod_sandbox(pod)
        made.append(ToCreate(kind, pod, load.make_container(pod, kind, number)))
    return made


def create_and_remove(runtime: Runtime, one: ToCreate, check: bool = True) -> None:
    """Create the container, check that the daemon set its field, remove it. Raises BenchError."""
    kind, pod, container = one
    state = runtime.create_container(pod.id, container)
    runtime.remove_container(container.id)
    if check and kind.sets not in state.owners:
        got = ", ".join(state.owners) or "nothing"
        seen = "; ".join(runtime.log) or "nothing"
        raise BenchError(
            f"container of kind {kind.name}: expected koordnri to set {kind.sets}, it set {got};"
            f" the runtime noticed: {seen}"
        )


def round_trips_us(runtime: Runtime, event: str) -> list[float]:
    """Round trips (µs) of all such events since `runtime.calls` was cleared, in order. Raises BenchError for an error answer."""
    for call in runtime.calls:
        if call.error:
            raise BenchError(f"{call.event}: {call.error}")
    return [call.duration_s * 1e6 for call in runtime.calls if call.event == event]


def measure_floor(requests: int, containers: int, version: Version) -> Run:
    """The same creations and removals with the bare plugin in the daemon's place. Raises BenchError."""
    with floor.started(containers, version) as bare:
        run, runtime = Run(), bare.runtime
        create_and_remove_many(runtime, run_pods(runtime, containers, WARM_UP), Run(), check=False)
        pods = run_pods(runtime, containers + WARM_UP, requests)
        with no_collection():
            before_s = bare.cpu_s()
            create_and_remove_many(runtime, pods, run, check=False)
            run.cpu_us = (bare.cpu_s() - before_s) * 1e6 / requests
        return run


def create_and_remove_many(runtime: Runtime, pods: Sequence[ToCreate], run: Run, check: bool = True) -> None:
    """Create and remove each container, then remove its pod; the round trips are added to `run`. Raises BenchError."""
    runtime.calls.clear()
    for one in pods:
        create_and_remove(runtime, one, check)
    for one, us in zip(pods, round_trips_us(runtime, "CREATE_CONTAINER"), strict=True):
        run.create_us.setdefault(one.kind.name, []).append(us)
    run.remove_us += round_trips_us(runtime, "REMOVE_CONTAINER")
    for one in pods:
        runtime.remove_pod_sandbox(one.pod.id)


def report(requests: int, containers: int, version: Version) -> dict[str, Any]:
    """Measure, and return the figures in the shape of `koordnri.cli.bench.command`. Raises BenchError."""
    run = measure(requests, containers, version)
    bare = measure_floor(requests, containers, version)
    few, many = (percentiles(measure(requests, n, version).all_create_us)["p50"] for n in (0, MANY))
    return {
        "requests": requests,
        "request_bytes": round(run.request_bytes),
        "create_us": percentiles(run.all_create_us),
        "create_us_by_kind": {kind: percentiles(values) for kind, values in run.create_us.items()},
        "remove_us": percentiles(run.remove_us),
        "cpu_us_per_create_remove": round(run.cpu_us, 1),
        "rss_mib": round(run.rss_bytes / (1 << 20), 1),
        "start_to_registered_s": round(run.registered_s, 3),
        "start_to_synchronized_s": round(run.synchronized_s, 3),
        "floor": {
            "create_us": percentiles(bare.all_create_us),
            "cpu_us_per_create_remove": round(bare.cpu_us, 1),
            "create_p50_ratio": ratio(percentiles(run.all_create_us)["p50"], percentiles(bare.all_create_us)["p50"]),
            "cpu_ratio": ratio(run.cpu_us, bare.cpu_us),
        },
        "scaling": {"p50_us_0": few, f"p50_us_{MANY}": many, "ratio": ratio(many, few)},
    }


def ratio(value: float, to: float) -> float:
    """`value` / `to`, rounded; 0 without a second figure."""
    return round(value / to, 3) if to else 0.0


def as_text(figures: dict[str, Any]) -> str:
    """The same figures as text."""
    lines = [
        f"{figures['requests']} containers created and removed, {figures['request_bytes']} bytes per request",
        "",
        f"{'round trip, µs':24}{'p50':>9}{'p90':>9}{'p99':>9}",
    ]
    rows = {"CreateContainer": figures["create_us"]}
    rows |= {f"  {kind}": values for kind, values in figures["create_us_by_kind"].items()}
    rows["  the bare plugin"] = figures["floor"]["create_us"]
    rows["RemoveContainer"] = figures["remove_us"]
    lines += [f"{name:24}{row['p50']:>9}{row['p90']:>9}{row['p99']:>9}" for name, row in rows.items()]
    scaling, bare = figures["scaling"], figures["floor"]
    lines += [
        "",
        f"CPU per create and remove   {figures['cpu_us_per_create_remove']} µs",
        f"  the bare plugin           {bare['cpu_us_per_create_remove']} µs; the daemon: p50 {bare['create_p50_ratio']} times,"
        f" CPU {bare['cpu_ratio']} times it",
        f"RSS                         {figures['rss_mib']} MiB",
        f"start to registered         {figures['start_to_registered_s']} s",
        f"start to synchronized       {figures['start_to_synchronized_s']} s",
        f"p50 beside 0 and {MANY}       {scaling['p50_us_0']} and {scaling[f'p50_us_{MANY}']} µs, ratio {scaling['ratio']}",
    ]
    return "\n".join(lines)
