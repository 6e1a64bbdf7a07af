"""The part `scale` of `bench`: what the daemon costs beside few and many containers. CPU time, since a busy machine hardly changes that."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from koordnri.cli.bench import load
from koordnri.cli.bench.daemon import BenchedDaemon, started
from koordnri.cli.bench.events import ToCreate, create_and_remove, no_collection
from koordnri.cli.bench.host import write_cgroups
from koordnri.cli.bench.policy import edited, everything
from koordnri.cli.bench.reconcile import SWEEP_EVERY_S, Effort, idle, passes_of, unchanged_cpu_ms
from koordnri.wire.versions import Version

SIZES = (10, 100, 500, 2000)
"""containers"""
ROUNDS = 3
WARM_UP = 20
CREATES = 200
FIRST_EDIT = 1_000_000
"""number of an edit that no other has"""
EDIT_S = 2.0
"""s after which an edit is handled: beside 2000 containers the daemon may rest 0.5 s between passes"""
ROWS = {
    "start_cpu_ms": "start, Synchronize and first pass, ms",
    "synchronize_s": "of it Synchronize, s on the clock",
    "create_cpu_us": "create and remove one more, µs",
    "full_pass_cpu_ms": "full pass that changes nothing, ms",
    "sweep_cpu_ms": "sweep, every 10 s, ms",
    "between_cpu_percent": "between sweeps, % of a core",
    "rss_mib": "RSS, MiB",
}


def report(
    version: Version,
    sizes: Sequence[int] = SIZES,
    rounds: int = ROUNDS,
    effort: Effort = Effort(),  # noqa: B008  # immutable
) -> dict[str, dict[str, float]]:
    """Measure, and return the figures in the shape of `koordnri.cli.bench.command`: medians of the rounds. Raises BenchError.

    effort   its edits, and whether to wait for sweeps; without them there is no figure of an idle daemon
    """
    measured = [{size: _measure(size, version, effort) for size in sizes} for _ in range(rounds)]
    return {
        row: {str(size): round(median(one[size][row] for one in measured), 3) for size in sizes}
        for row in measured[0][sizes[0]]
    }


def _measure(containers: int, version: Version, effort: Effort) -> dict[str, float]:
    with started(containers, version, everything(), cgroups=2) as daemon:
        daemon.settle()
        figures = {
            "start_cpu_ms": daemon.cpu_s() * 1e3,
            "synchronize_s": daemon.synchronized_s - daemon.registered_s,
            "rss_mib": daemon.rss_bytes() / (1 << 20),
        }
        _creations_s(daemon, containers, WARM_UP)
        figures["create_cpu_us"] = _creations_s(daemon, containers + WARM_UP, CREATES) / CREATES * 1e6
        _pass_once(daemon)
        figures["full_pass_cpu_ms"] = unchanged_cpu_ms(daemon, everything(), effort.edits, EDIT_S)["p50"]
        if effort.sweeps:
            sweep_ms, percent = idle(daemon)
            figures["sweep_cpu_ms"] = sweep_ms
            figures["between_cpu_percent"] = max(0.0, percent - sweep_ms / 1e3 / SWEEP_EVERY_S * 100)
        return figures


def _pass_once(daemon: BenchedDaemon) -> None:
    """The first pass was a long one, and the daemon rests several times as long as the last one took. So let it make a short one first."""
    before = passes_of(daemon, "change")
    daemon.set_policy(edited(everything(), FIRST_EDIT))
    daemon.wait_until(lambda: passes_of(daemon, "change") > before, 0.1, "a pass after an edit of the policy")
    daemon.settle()


def _creations_s(daemon: BenchedDaemon, first: int, count: int) -> float:
    """CPU s of the daemon for so many containers that are created and removed. `first` is the first unused number."""
    to_create = []
    for number in range(first, first + count):
        kind = load.KINDS[number % len(load.KINDS)]
        pod = load.make_pod(kind, number)
        write_cgroups(daemon.host, pod, [])
        daemon.runtime.run_pod_sandbox(pod)
        to_create.append(ToCreate(kind, pod, load.make_container(pod, kind, number)))
    daemon.settle()
    with no_collection():
        before_s = daemon.cpu_s()
        for one in to_create:
            create_and_remove(daemon.runtime, one)
        after_s = daemon.cpu_s()
    for one in to_create:
        daemon.runtime.remove_pod_sandbox(one.pod.id)
    daemon.settle()
    return after_s - before_s


def as_text(figures: dict[str, Any]) -> str:
    """The same figures as text."""
    sizes = list(next(iter(figures.values())))
    lines = ["CPU time, every hook at work; containers".ljust(42) + "".join(f"{size:>10}" for size in sizes)]
    for row, title in ROWS.items():
        if row in figures:
            lines.append(title.ljust(42) + "".join(f"{figures[row][size]:>10.5g}" for size in sizes))
    return "\n".join(lines)
