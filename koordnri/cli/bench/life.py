"""The part `life` of `bench`: what the runtime waits for in the whole life of a pod with one container.

A life: RunPodSandbox, CreateContainer, StartContainer, UpdateContainer, StopContainer, RemoveContainer, StopPodSandbox,
RemovePodSandbox. Lives follow one another at once, or with the pause that a real runtime makes between a pod's sandbox and its first
container (network, image, snapshot): the daemon writes the pod's own cgroup in it. A bare plugin lives through the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

from koordnri.cli.bench import daemon, floor, load
from koordnri.cli.bench.events import no_collection
from koordnri.cli.bench.figures import BenchError, percentiles
from koordnri.cli.bench.host import write_container_cgroup, write_pod_cgroup
from koordnri.cli.bench.policy import everything
from koordnri.runtime import Runtime
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import Version

LIVES = 200
WARM_UP = 20
GAP_S = 0.03
"""s between a pod's sandbox and its container: tens of milliseconds on a real node"""
ARMS = ("back_to_back", "with_gap")

Written = Callable[[api.PodSandbox, api.Container], None]


class RegisteredPlugin(NamedTuple):
    """A plugin that is registered with a runtime."""

    runtime: Runtime
    pod_made: Written
    """called when kubelet would have made the cgroup of the pod, which will have that container"""
    container_made: Written
    """called when the runtime would have made the container's"""
    check: Callable[[str], None]
    """raises BenchError when the container's life was not decided by the daemon"""


def report(containers: int, version: Version, lives: int = LIVES, warm_up: int = WARM_UP) -> dict[str, Any]:
    """Measure, and return the figures in the shape of `koordnri.cli.bench.command`. Raises BenchError.

    lives     lives of each arm that count
    warm_up   lives before them that do not
    """
    bare = _arms(_bare(containers, version), containers, lives, warm_up)
    figures: dict[str, Any] = {}
    for cgroups in (2, 1):
        ours = _arms(_daemon(cgroups, containers, version), containers, lives, warm_up)
        figures[f"v{cgroups}"] = {name: _compared(ours[name], bare[name]) for name in ARMS}
    return figures


def _compared(ours: dict[str, float], bare: dict[str, float]) -> dict[str, Any]:
    ratio = {key: round(value / bare[key], 2) for key, value in ours.items()}
    return {"life_us": ours, "bare_us": bare, "ratio": ratio}


def _arms(
    started: AbstractContextManager[RegisteredPlugin], containers: int, lives: int, warm_up: int
) -> dict[str, dict[str, float]]:
    """Arm → what the runtime waited for in a life, in µs."""
    with started as side:
        _lives(side, containers, warm_up, 0.0)
        first = containers + warm_up
        return {
            name: percentiles(_lives(side, first + i * lives, lives, GAP_S if name == "with_gap" else 0.0))
            for i, name in enumerate(ARMS)
        }


@contextmanager
def _daemon(cgroups: int, containers: int, version: Version) -> Iterator[RegisteredPlugin]:
    with daemon.started(containers, version, everything(), cgroups=cgroups) as it:

        def pod_made(pod: api.PodSandbox, container: api.Container) -> None:
            write_pod_cgroup(it.host, pod, [container], cgroups)

        def container_made(pod: api.PodSandbox, container: api.Container) -> None:
            write_container_cgroup(it.host, pod, container, cgroups)

        def check(container_id: str) -> None:
            if not it.runtime.containers[container_id].owners:
                raise BenchError(
                    f"container {container_id}: expected koordnri to set a field, it set none\n{it.tail()}"
                )

        it.settle()
        yield RegisteredPlugin(it.runtime, pod_made, container_made, check)


@contextmanager
def _bare(containers: int, version: Version) -> Iterator[RegisteredPlugin]:
    def nothing(pod: api.PodSandbox, container: api.Container) -> None: ...

    with floor.started(containers, version) as it:
        yield RegisteredPlugin(it.runtime, nothing, nothing, lambda container_id: None)


def _lives(side: RegisteredPlugin, first: int, lives: int, gap_s: float) -> list[float]:
    """What the runtime waited for in each life, in µs. `first` is the first unused number of a pod."""
    waited_us = []
    for number in range(first, first + lives):
        kind = load.KINDS[number % len(load.KINDS)]
        pod = load.make_pod(kind, number)
        container = load.make_container(pod, kind, number)
        side.runtime.calls.clear()
        with no_collection():
            _live(side, pod, container, gap_s)
        waited_us.append(sum(call.duration_s for call in side.runtime.calls) * 1e6)
    return waited_us


def _live(side: RegisteredPlugin, pod: api.PodSandbox, container: api.Container, gap_s: float) -> None:
    runtime = side.runtime
    side.pod_made(pod, container)
    runtime.run_pod_sandbox(pod)
    if gap_s:
        time.sleep(gap_s)
    runtime.create_container(pod.id, container)
    side.check(container.id)
    side.container_made(pod, container)
    runtime.start_container(container.id)
    asked = api.LinuxResources()
    asked.cpu.quota.value = 300_000
    runtime.update_container(container.id, asked)
    runtime.stop_container(container.id)
    runtime.remove_container(container.id)
    runtime.stop_pod_sandbox(pod.id)
    runtime.remove_pod_sandbox(pod.id)


def as_text(figures: dict[str, Any]) -> str:
    """The same figures as text."""
    what = "a pod's whole life, µs"
    lines = [f"{what:44}{'p50':>9}{'p90':>9}{'p99':>9}{'ratio to the bare plugin':>30}"]
    for version, arms in figures.items():
        for name, row in arms.items():
            cells = "".join(f"{value:>9}" for value in row["life_us"].values())
            ratios = " / ".join(f"{value:.2f}" for value in row["ratio"].values())
            label = f"  cgroup {version}, {name.replace('_', ' ')}"
            lines.append(f"{label:44}{cells}{ratios:>30}")
    return "\n".join(lines)
