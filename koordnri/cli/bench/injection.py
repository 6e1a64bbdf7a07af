"""The part `injection` of `bench`: what injecting costs the event path, once every kind of it is on.

Two daemons beside each other: one with the policy `everything`, one with the same and every kind of injection for everybody. They get
their containers in turn, so that what else the machine does falls on both. The host has some hooks of the OCI runtime. They ask for
annotations and commands, so that each creation must be compared with them; a quarter of the containers gets one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from koordnri.cli.bench.daemon import BenchedDaemon, started
from koordnri.cli.bench.events import WARM_UP, Run, create_and_remove_many, no_collection, ratio, run_pods
from koordnri.cli.bench.figures import BenchError, percentiles
from koordnri.cli.bench.load import KINDS, make_container, make_pod
from koordnri.cli.bench.policy import everything, injecting
from koordnri.wire.versions import Version

IN_A_TURN = len(KINDS) * 5
"""Containers that one daemon gets before it is the other one's turn."""


def report(requests: int, containers: int, version: Version) -> dict[str, Any]:
    """Measure, and return the figures in the shape of `koordnri.cli.bench.command`. Raises BenchError."""
    turns = max(requests // IN_A_TURN, 1)
    with _both(containers, version) as (off, on):
        runs = {"off": Run(), "on": Run()}
        first = containers + 1 + WARM_UP
        with no_collection():
            for turn in range(turns):
                for name, daemon in (("off", off), ("on", on))[:: 1 if turn % 2 else -1]:
                    _take_turn(daemon, first, runs[name])
                first += IN_A_TURN
    create_us = {name: percentiles(run.all_create_us) for name, run in runs.items()}
    cpu_us = {name: round(run.cpu_us / turns / IN_A_TURN, 1) for name, run in runs.items()}
    return {
        "create_us": create_us,
        "create_p50_ratio": ratio(create_us["on"]["p50"], create_us["off"]["p50"]),
        "cpu_us_per_create_remove": cpu_us,
        "cpu_ratio": ratio(cpu_us["on"], cpu_us["off"]),
    }


@contextmanager
def _both(containers: int, version: Version) -> Iterator[tuple[BenchedDaemon, BenchedDaemon]]:
    with (
        started(containers, version, everything(), cgroups=0) as off,
        started(containers, version, injecting(), cgroups=0) as on,
    ):
        for daemon, injects in ((off, False), (on, True)):
            _check(daemon, containers, injects)
            create_and_remove_many(daemon.runtime, run_pods(daemon.runtime, containers + 1, WARM_UP), Run())
            daemon.settle()
        yield off, on


def _take_turn(daemon: BenchedDaemon, first: int, run: Run) -> None:
    """Create and remove containers; `first` is the first unused number."""
    pods = run_pods(daemon.runtime, first, IN_A_TURN)
    before_s = daemon.cpu_s()
    create_and_remove_many(daemon.runtime, pods, run)
    run.cpu_us += (daemon.cpu_s() - before_s) * 1e6


def _check(daemon: BenchedDaemon, number: int, injects: bool) -> None:
    """Whether the policy is in force. Raises BenchError."""
    runtime, kind = daemon.runtime, next(kind for kind in KINDS if kind.name == "gpu")
    pod = make_pod(kind, number)
    runtime.run_pod_sandbox(pod)
    container = make_container(pod, kind, number)
    hooks = runtime.create_container(pod.id, container).adjust.hooks.create_runtime
    if bool(hooks) is not injects:
        expected = "a hook" if injects else "no hook"
        raise BenchError(f"expected {expected} of the OCI runtime, got {len(hooks)}\n{daemon.tail()}")
    runtime.remove_container(container.id)
    runtime.remove_pod_sandbox(pod.id)


def as_text(figures: dict[str, Any]) -> str:
    """The same figures as text."""
    create, cpu = figures["create_us"], figures["cpu_us_per_create_remove"]
    lines = [f"{'with every kind of injection':36}{'off':>9}{'on':>9}{'ratio':>9}"]
    ratio_of = {"p50": figures["create_p50_ratio"]}
    lines += [
        f"  {'CreateContainer, ' + share + ', µs':34}{create['off'][share]:>9}{create['on'][share]:>9}{ratio_of.get(share, ''):>9}"
        for share in ("p50", "p90", "p99")
    ]
    lines.append(f"  {'CPU per create and remove, µs':34}{cpu['off']:>9}{cpu['on']:>9}{figures['cpu_ratio']:>9}")
    return "\n".join(lines)
