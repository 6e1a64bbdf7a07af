"""`koordnri bench`: what the event path costs, measured on the real daemon in a process of its own.

The shape of `-o json`, which scripts may rely on; times are as the runtime sees them, over a unix socket:

    {"nri": "0.12.2",               the NRI version imitated
     "requests": 2000,              containers created and removed
     "request_bytes": 5400,         mean size of a CreateContainer request
     "pods": 250, "containers": 500,                     that ran already
     "create_us": {"p50", "p90", "p99"},                 round trip of CreateContainer
     "create_us_by_kind": {"lsr" | "be" | "plain" | "gpu": {"p50", "p90", "p99"}},
     "remove_us": {"p50", "p90", "p99"},                 round trip of RemoveContainer
     "cpu_us_per_create_remove": 250.0,                  user and system time of the daemon
     "rss_mib": 55.0,                                    of the daemon once it was told all pods and containers
     "start_to_registered_s": 0.3,                       from starting the process until it has answered Configure
     "start_to_synchronized_s": 0.4,                     … and Synchronize
     "scaling": {"p50_us_0", "p50_us_2000", "ratio"}}    p50 beside 0 and beside 2000 containers; ratio near 1: it does not grow
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from koordnri.session.runtime import Runtime
    from koordnri.wire.versions import Version

START_TIMEOUT_S = 30.0
WARM_UP = 40
"""Requests before the measured ones: the first of a kind pays for what later ones share."""
MANY = 2000


class BenchError(Exception):
    """The daemon did not do its part; the message carries the end of its log."""


class Run:
    """Figures of one daemon beside a number of containers."""

    def __init__(self) -> None:
        self.create_us: dict[str, list[float]] = {}
        """kind of pod → round trips"""
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
    import tempfile
    from pathlib import Path

    from koordnri.cli import bench_load as load
    from koordnri.session.runtime import Runtime

    with tempfile.TemporaryDirectory(prefix="koordnri-bench-") as name:
        directory = Path(name)
        load.write_host(directory / "host")
        load.write_policy(directory / "policy.json")
        runtime = Runtime(directory / "nri.sock", version)
        kinds = load.KINDS
        for i in range((containers + 1) // 2):
            kind = kinds[i % len(kinds)]
            pod = load.make_pod(kind, i)
            numbers = range(2 * i, min(2 * i + 2, containers))
            runtime.preload([pod], [load.make_container(pod, kind, n) for n in numbers])
        with runtime:
            return _measure(runtime, directory, requests, containers)


def _measure(runtime: Runtime, directory: Path, requests: int, containers: int) -> Run:
    import gc
    import os
    import subprocess
    import sys
    import time

    import psutil

    from koordnri.cli import bench_load as load

    run, log = Run(), directory / "log"
    command = [sys.executable, "-m", "koordnri.cli", "run"]
    command += ["--nri-socket", str(directory / "nri.sock"), "--host-root", str(directory / "host")]
    command += ["--policy-file", str(directory / "policy.json"), "--state-dir", str(directory / "state")]
    command += ["--listen", "127.0.0.1:0", "--node-name", "bench"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("KOORDNRI_", "NRI_"))}
    started = time.perf_counter()
    with log.open("wb") as stderr:
        daemon = subprocess.Popen(command, env=environment, stderr=stderr)  # noqa: S603  # ourselves
    try:
        try:
            peer = runtime.wait_for_plugin(START_TIMEOUT_S)
        except TimeoutError as error:
            raise BenchError(f"{error}\n{_tail(log)}") from None
        run.registered_s, run.synchronized_s = peer.configured_at_s - started, peer.synchronized_at_s - started
        process = psutil.Process(daemon.pid)
        _work(runtime, containers, WARM_UP // 4, Run())
        # The daemon replies first and keeps its books afterwards: only the next event shows that Synchronize is done with.
        run.rss_bytes = process.memory_info().rss
        _work(runtime, containers + WARM_UP, WARM_UP, Run())
        pods = _pods(runtime, containers + 2 * WARM_UP, requests)
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            before = process.cpu_times()
            _create_and_remove(runtime, pods, run)
            after = process.cpu_times()
        finally:
            gc.enable()
            gc.unfreeze()
        run.cpu_us = (after.user + after.system - before.user - before.system) * 1e6 / requests
        run.request_bytes = sum(load.request_bytes(pod, container) for _, pod, container in pods) / requests
    finally:
        daemon.terminate()
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
    return run


def _work(runtime: Runtime, first: int, count: int, run: Run) -> None:
    _create_and_remove(runtime, _pods(runtime, first, count), run)


def _pods(runtime: Runtime, first: int, count: int) -> list[Any]:
    """Run pods of all kinds in turn; (kind, pod, container to be created) of each. `first` is a number that none has yet."""
    from koordnri.cli import bench_load as load

    made = []
    for number in range(first, first + count):
        kind = load.KINDS[number % len(load.KINDS)]
        pod = load.make_pod(kind, number)
        runtime.run_pod_sandbox(pod)
        made.append((kind, pod, load.make_container(pod, kind, number)))
    return made


def _create_and_remove(runtime: Runtime, pods: Sequence[Any], run: Run) -> None:
    runtime.calls.clear()
    for kind, pod, container in pods:
        state = runtime.create_container(pod.id, container)
        runtime.remove_container(container.id)
        if kind.sets not in state.owners:
            got = ", ".join(state.owners) or "nothing"
            seen = "; ".join(runtime.notes) or "nothing"
            raise BenchError(
                f"container of kind {kind.name}: expected koordnri to set {kind.sets}, it set {got};"
                f" the runtime noticed: {seen}"
            )
    kinds = iter(pods)
    for call in runtime.calls:
        if call.error:
            raise BenchError(f"{call.event}: {call.error}")
        if call.event == "CREATE_CONTAINER":
            run.create_us.setdefault(next(kinds)[0].name, []).append(call.duration_s * 1e6)
        elif call.event == "REMOVE_CONTAINER":
            run.remove_us.append(call.duration_s * 1e6)
    for _, pod, _ in pods:
        runtime.remove_pod_sandbox(pod.id)


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join(lines[-10:]) or "its log is empty"


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p90 and p99, rounded to a tenth; the values themselves, never in between two. All 0 when there are none."""
    ordered = sorted(values)
    last = len(ordered) - 1
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    return {name: round(ordered[round(share * last)], 1) if ordered else 0.0 for name, share in shares.items()}


def report(requests: int, containers: int, version: Version) -> dict[str, Any]:
    """Measure, and put the figures in the shape that the module promises. Raises BenchError."""
    run = measure(requests, containers, version)
    few, many = (percentiles(measure(requests, n, version).all_create_us)["p50"] for n in (0, MANY))
    return {
        "nri": str(version),
        "requests": requests,
        "request_bytes": round(run.request_bytes),
        "pods": (containers + 1) // 2,
        "containers": containers,
        "create_us": percentiles(run.all_create_us),
        "create_us_by_kind": {kind: percentiles(values) for kind, values in run.create_us.items()},
        "remove_us": percentiles(run.remove_us),
        "cpu_us_per_create_remove": round(run.cpu_us, 1),
        "rss_mib": round(run.rss_bytes / (1 << 20), 1),
        "start_to_registered_s": round(run.registered_s, 3),
        "start_to_synchronized_s": round(run.synchronized_s, 3),
        "scaling": {"p50_us_0": few, f"p50_us_{MANY}": many, "ratio": round(many / few, 3) if few else 0.0},
    }


def as_text(figures: dict[str, Any]) -> str:
    """The same figures for the eye."""
    lines = [
        f"NRI {figures['nri']}, {figures['requests']} containers created and removed"
        f" ({figures['request_bytes']} bytes per request), beside {figures['pods']} pods with {figures['containers']} containers",
        "",
        f"{'round trip, µs':24}{'p50':>9}{'p90':>9}{'p99':>9}",
    ]
    rows = {"CreateContainer": figures["create_us"]}
    rows |= {f"  {kind}": values for kind, values in figures["create_us_by_kind"].items()}
    rows["RemoveContainer"] = figures["remove_us"]
    lines += [f"{name:24}{row['p50']:>9}{row['p90']:>9}{row['p99']:>9}" for name, row in rows.items()]
    scaling = figures["scaling"]
    lines += [
        "",
        f"CPU per create and remove   {figures['cpu_us_per_create_remove']} µs",
        f"RSS                         {figures['rss_mib']} MiB",
        f"start to registered         {figures['start_to_registered_s']} s",
        f"start to synchronized       {figures['start_to_synchronized_s']} s",
        f"p50 beside 0 and {MANY}       {scaling['p50_us_0']} and {scaling[f'p50_us_{MANY}']} µs, ratio {scaling['ratio']}",
    ]
    return "\n".join(lines)


def _version(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Version:
    from koordnri.session.runtime import LATEST
    from koordnri.session.runtime.identity import version_with
    from koordnri.wire.versions import parse_version

    version = LATEST if value is None else parse_version(value)
    if version is None:
        raise click.BadParameter(f'expected a version such as 0.8.0, got "{value}"')
    try:
        version_with("containerd", version)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return version


@click.command()
@click.option(
    "-n", "requests", type=click.IntRange(1, 1_000_000), default=2000, show_default=True, help="containers to create"
)
@click.option(
    "--containers",
    type=click.IntRange(0, 100_000),
    default=500,
    show_default=True,
    help="that run already, two per pod",
)
@click.option("--nri-version", callback=_version, help="of the runtime to imitate  [default: the newest known]")
@click.option("-o", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def bench(requests: int, containers: int, nri_version: Version, output: str) -> None:
    """Measure the event path: the real daemon, in another process, against an embedded runtime."""
    import json

    try:
        figures = report(requests, containers, nri_version)
    except BenchError as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(figures, indent=2) if output == "json" else as_text(figures))
