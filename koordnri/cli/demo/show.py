"""The show: a service and batch work that run without an end, and the settings that keys switch."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from koordnri.cli.bench.figures import BenchError
from koordnri.cli.bench.isolation.experiment import LEAD_S, unproved
from koordnri.cli.bench.isolation.inside import iterations_in, write_whole
from koordnri.cli.bench.isolation.plan import PodPlan
from koordnri.cli.bench.isolation.pods import RunningPod
from koordnri.cli.bench.isolation.stage import Stage
from koordnri.cli.control import ControlError, question
from koordnri.cli.demo.moment import Moment, moment
from koordnri.cli.demo.switches import ALL_ON, BATCH, SWITCHES, policy_of
from koordnri.host.cgroup.paths import pod_directory
from koordnri.host.usage.cpu import read_cpu
from koordnri.host.usage.files import UsageFiles
from koordnri.model import KubeQoS
from koordnri.model.qos import QOS_LABEL

REQUEST_S = 0.0005
"""CPU time of a request"""
EVERY_S = 0.002
WINDOW_S = 0.5
_LIVE, _REST = "live.json", "rest"
_MIB = 1 << 20
_KEYS = frozenset(switch.key for switch in SWITCHES)


def plans(cpus: int) -> tuple[PodPlan, PodPlan]:
    """The service and batch, on so many CPUs. Batch is a pod like any other but for its label, so that each setting shows."""
    requests = {"iterations": iterations_in(REQUEST_S), "every_s": EVERY_S, "window_s": WINDOW_S, "live": _LIVE}
    service = PodPlan("service", "serve", requests, KubeQoS.GUARANTEED, {QOS_LABEL: "LSE"}, {}, 1000, 1000, 128 * _MIB)
    burn = {"processes": 2 * cpus, "rest": _REST}
    return service, PodPlan("batch", "burn", burn, KubeQoS.BURSTABLE, {QOS_LABEL: "BE"}, cpu_request_m=1000 * cpus)


class Show:
    """Made by `running`."""

    def __init__(self, stage: Stage, shared: Path, pods: Sequence[RunningPod]) -> None:
        self.on = ALL_ON
        self._stage = stage
        self._shared = shared
        self._pods = pods
        self._batch = pod_directory(pods[1].cgroup_parent)
        self._files = UsageFiles(Path("/"), stage.cgroups.version)
        self._used: tuple[float, int] | None = None
        """time (s) and CPU time (µs) of batch at the last window"""
        self._number = 0

    def press(self, key: str) -> None:
        """Switch a setting, if the key is one. Returns when the daemon has the policy. Raises BenchError."""
        if key not in _KEYS:
            return
        self.on = self.on ^ {key}
        if key == BATCH:
            rest = self._shared / _REST
            rest.unlink(missing_ok=True) if BATCH in self.on else rest.touch()
        else:
            self._stage.daemon.take(policy_of(self.on))

    def pending(self) -> str:
        """What the kernel does not have yet of what the daemon decided; "" when it has all."""
        try:
            explained = [(pod, question(self._stage.daemon.state_dir, "explain", pod=pod.name)) for pod in self._pods]
        except ControlError as error:
            return error.message
        return "; ".join(problem for pod, answer in explained for problem in unproved(pod, answer))

    def next(self) -> Moment | None:
        """The last window; None when it was returned already."""
        try:
            window: Any = json.loads((self._shared / _LIVE).read_text())
        except FileNotFoundError:
            return None
        if window["number"] == self._number:
            return None
        self._number = window["number"]
        return moment(window, self._batch_cores(), self.on)

    def _batch_cores(self) -> float:
        now, used_us = time.monotonic(), read_cpu(self._files, self._batch).used_us or 0
        before, self._used = self._used, (now, used_us)
        return 0.0 if before is None or now <= before[0] else (used_us - before[1]) / 1e6 / (now - before[0])


@contextmanager
def running(stage: Stage) -> Iterator[Show]:
    """Within it both pods run. Raises BenchError."""
    service, batch = plans(int(stage.node["cpus"]))
    shared = stage.directory / "shared"
    # `seconds` counts for programs with an end.
    with stage.pods.running([service, batch], 0.0) as pods:
        stage.daemon.wait_until(lambda: all(pod.ready.exists() for pod in pods), 0.05, "the programs to start")
        write_whole(stage.pods.go, str(time.monotonic() + LEAD_S))
        try:
            yield Show(stage, shared, pods)
        finally:  # cgroups of QoS classes outlive the pods
            with contextlib.suppress(BenchError):
                stage.daemon.apply(policy_of(frozenset()))


def follow(
    show: Show, pressed: Callable[[float], str], draw: Callable[[Sequence[Moment], str], object], quit: str
) -> None:
    """Draw each window, and switch at each key, until the key `quit`. Raises BenchError."""
    moments: list[Moment] = []
    pending = ""
    while (key := pressed(WINDOW_S / 5)) != quit:
        if key:
            show.press(key)
        found = show.next()
        if found is not None:
            moments = [*moments[-99:], found]
            pending = show.pending()
        if key or found is not None:
            draw(moments, pending)
