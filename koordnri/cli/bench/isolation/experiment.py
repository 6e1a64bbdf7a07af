"""Runs the arms of a design in turn, round by round, on a real runtime with the real daemon."""

from __future__ import annotations

import bisect
import contextlib
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from koordnri.cli.bench.figures import BenchError
from koordnri.cli.bench.isolation.inside import write_whole
from koordnri.cli.bench.isolation.plan import EXCLUSIVE_CPUS, TRUSTING, Arm, Design
from koordnri.cli.bench.isolation.pods import CONTAINER, Pods, RunningPod
from koordnri.cli.bench.isolation.statistics import Round, latencies
from koordnri.cli.bench.policy import Policy
from koordnri.cli.bench.process import DaemonProcess
from koordnri.cli.control import ControlError, question
from koordnri.model import CPUSet

LEAD_S = 0.3
"""from the file `go` to the start"""
WATCH_S = 0.02
"""between two looks at what a controller has written"""
SETTLED_S, SETTLED_MOST_S = 4.0, 20.0
"""A quota that stayed for so long is the one of a service that sleeps; longer than the second nobody waits for that."""
PATIENCE_S = 60.0
"""for results, after the last request; batch work without weight ends late"""


class Experiment:
    """Pods, and the daemon that sets their values."""

    def __init__(self, pods: Pods, daemon: DaemonProcess, policy: Policy) -> None:
        """`policy`: what the daemon has now."""
        self._pods = pods
        self._daemon = daemon
        self._policy = policy

    @contextmanager
    def prepared(self, design: Design) -> Iterator[None]:
        """Within it the node has what the design needs beside its pods. At the end the daemon gives back what the arms' policies set."""
        with self._pods.prepared(design):
            try:
                yield
            finally:
                with contextlib.suppress(BenchError):
                    self._give_back()

    def round(self, design: Design, seconds: float, done: Callable[[Arm], None] = lambda _: None) -> Round:
        """Each arm once. Raises BenchError."""
        figures: dict[str, Mapping[str, float]] = {}
        for arm in design.arms:
            figures[arm.name] = self._measure(arm, seconds)
            done(arm)
        return figures

    def _measure(self, arm: Arm, seconds: float) -> dict[str, float]:
        if arm.policy != self._policy:
            self._daemon.take(arm.policy)
            self._policy = arm.policy
        plans = [arm.service] + ([] if arm.batch is None else [arm.batch])
        with self._pods.running(plans, arm.settle_s + seconds) as pods:
            self._daemon.wait_until(lambda: all(pod.ready.exists() for pod in pods), 0.05, "the programs to start")
            self._wait_in_force(arm, pods)
            found = self._run(arm, pods, arm.settle_s + seconds)
            results = [_result(pod.result) for pod in pods]
        counted = bisect.bisect_left(results[0]["due_s"], arm.settle_s)
        figures = latencies(results[0]["due_s"][counted:], results[0]["took_s"][counted:])
        figures["request_cpu_ms"] = results[0]["cpu_s"] / len(results[0]["took_s"]) * 1e3
        figures |= found
        for result in results[1:]:
            figures |= {f"batch_{name}": value for name, value in result.items()}
        return figures

    def _run(self, arm: Arm, pods: list[RunningPod], seconds: float) -> dict[str, float]:
        """Let the programs work, and wait until their time is over. Figures about what a controller did meanwhile."""
        before_us, lead_s = 0, LEAD_S
        if arm.wake_us:
            before_us = self._settled_us(pods[-1])
            # The daemon measures each second, and the quota has rested since one of these moments: the next one must be any time away.
            lead_s += random.random()  # noqa: S311
        start = time.monotonic() + lead_s
        write_whole(self._pods.go, str(start))
        found: dict[str, float] = {}
        if 0 < arm.wake_us <= before_us:  # otherwise batch work has too little already, for others use the machine
            found["acted_s"] = self._acted_s(pods[-1], before_us - arm.wake_us // 2, start, seconds)
        time.sleep(max(start + seconds - time.monotonic(), 0.0))
        if arm.settle_s:
            found["quota_m"] = self._pods.quota_m(pods[0])
        return found

    def _settled_us(self, batch: RunningPod) -> int:
        """The quota of batch work while the service sleeps: it grows slowly, and on a machine that others use it never rests."""
        quota_us, until = self._pods.class_quota_us(batch), time.monotonic() + SETTLED_MOST_S
        since = time.monotonic()
        while (now := time.monotonic()) < min(since + SETTLED_S, until):
            before_us, quota_us = quota_us, self._pods.class_quota_us(batch)
            since = now if quota_us != before_us else since
            time.sleep(WATCH_S)
        return quota_us

    def _acted_s(self, batch: RunningPod, wanted_us: int, start: float, seconds: float) -> float:
        """s from the start, at which the service wakes up, until the kernel has this quota of batch work; `seconds` if it gets none."""
        while (now := time.monotonic()) < start + seconds:
            if 0 < self._pods.class_quota_us(batch) <= wanted_us:
                return max(now - start, 0.0)
            time.sleep(WATCH_S)
        return seconds

    def _give_back(self) -> None:
        """Of QoS classes and of the root of all cgroups, which outlive the pods."""
        if self._policy == TRUSTING:
            return
        self._daemon.apply(TRUSTING)
        self._policy = TRUSTING

    def _wait_in_force(self, arm: Arm, pods: list[RunningPod]) -> None:
        """Wait until the kernel has what the daemon decided, and what the arm is about."""
        found = [""]

        def in_force() -> bool:
            try:
                problems = [problem for pod in pods for problem in unproved(pod, self._explain(pod))]
                found[0] = "; ".join(
                    [*problems, *(problem for pod in pods for problem in self._pods.unproved_class(pod))]
                )
            except ControlError as error:
                found[0] = error.message
            return not found[0]

        try:
            self._daemon.wait_until(in_force, 0.1, f'the values of arm "{arm.name}" to be in the kernel')
        except BenchError as error:
            raise BenchError(f"{found[0]}\n{error}") from None

    def _explain(self, pod: RunningPod) -> Any:
        return question(self._daemon.state_dir, "explain", pod=pod.name)


def unproved(pod: RunningPod, explanation: Any) -> list[str]:
    """What the kernel does not have yet, of what the daemon decided and of what the arm is about. By the daemon's answer to `explain`."""
    (container,) = explanation["containers"]
    problems = [
        f"{pod.name}: {name}: decided {field['value']}, the kernel has {field['kernel']}"
        for cgroup in (explanation["pod"], container)
        for name, field in cgroup["fields"].items()
        if field["agrees"] is False
    ]
    kernel = {name: field["kernel"] for one in (explanation["pod"], container) for name, field in one["fields"].items()}
    own = CPUSet.parse(explanation["cpus"]["exclusive"].get(CONTAINER, ""))
    for name, wanted in pod.plan.proof.items():
        found = len(own) if name == EXCLUSIVE_CPUS else kernel.get(name)
        if found != wanted:
            problems.append(f"{pod.name}: {name}: expected {wanted}, found {found}")
    return problems


def _result(path: Path) -> Any:
    until = time.monotonic() + PATIENCE_S
    while not path.exists():
        if time.monotonic() > until:
            raise BenchError(f"{path.stem}: expected its result within {PATIENCE_S:g} s after the last request")
        time.sleep(0.05)
    return json.loads(path.read_text())
