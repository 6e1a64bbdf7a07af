"""Let the real daemon live on a busy node, and fail if it grows. `make soak` runs it.

    python tools/soak.py --seconds 1800

Beside running containers, pods come and go; three in ten have an annotation that was damaged by chance. The policy flips. Every 45 s the
runtime restarts, or the daemon is killed: that is done in the first eighth of the time only. Until three eighths are over, pods come and go
as fast as they can, which fills what is bounded (the history, memories of 1,000 to 10,000 pods). Then one daemon is watched: memory,
descriptors, threads, size of the state directory, p99 of the last 500 CreateContainer. Each has a slope by least squares over its samples.
It has grown when that makes more, from the first sample to the last, than three times the noise (standard deviation around the line), and
than its floor.

Whatever else runs on the machine makes CreateContainer slower, and is no growth of the daemon. So another process is asked as often, at the
same times, and computes for about as long. What its p99 explains of the daemon's (by least squares over the samples) is taken away before
the daemon's is judged. Fewer than 30 samples (6 minutes) are printed and not judged.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, linear_regression, pstdev
from typing import NamedTuple

import psutil

from koordnri.cli.bench.daemon import BenchedDaemon, started
from koordnri.cli.bench.figures import percentiles
from koordnri.cli.bench.host import cgroup_of, write_cgroups
from koordnri.cli.bench.load import KINDS, make_container, make_pod
from koordnri.cli.bench.policy import everything
from koordnri.runtime import LATEST, CRIError, Runtime
from koordnri.wire import api_pb2 as api

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.fuzz.mutations import mutated  # beside the package, not in it

RUNNING = 100
"""containers that stay"""
ALIVE = 40
"""pods of the churn that live at once"""
BAD = 0.3
FLIP_S, KILL_S, SAMPLE_S, PACE_S = 3.0, 45.0, 5.0, 0.05
NOISES = 3.0
FEWEST = 30
REFERENCE = "reference p99"
BUGS = ("contained_fault", "event_failed", "hook_failed_bug")


class Measure(NamedTuple):
    """What may grow."""

    unit: str
    floor: float
    """growth over the whole time that is accepted: caches that fill, histories up to their bound"""


MEASURES = {
    "memory": Measure(
        "MiB", 8.0
    ),  # the memory of 10,000 complaints is not full by then; a leak of 1 KB per pod makes 12 in half an hour
    "descriptors": Measure("", 3.0),
    "threads": Measure("", 2.0),
    "state": Measure("KiB", 9 * 1024.0),  # two files of the history with 4 MiB each, and notes
    "create p99": Measure("µs", 2000.0),  # beyond what REFERENCE explains
}


class Reference:
    """A process that answers as a daemon that never changes would: it shows how busy the machine is."""

    _CODE = "import os\nwhile b := os.read(0, 1):\n    sum(range(15_000))\n    os.write(1, b)"

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", self._CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def round_trip_us(self) -> float:
        """Ask, and wait for the answer."""
        asks, answers = self._process.stdin, self._process.stdout
        assert asks is not None
        assert answers is not None
        began = time.perf_counter()
        asks.write(b"?")
        answers.read(1)
        return (time.perf_counter() - began) * 1e6

    def close(self) -> None:
        """End it."""
        self._process.communicate()


class Soak:
    """One daemon beside one runtime."""

    def __init__(self, runtime: Runtime, daemon: BenchedDaemon, directory: Path, seed: int) -> None:
        self.runtime = runtime
        self.daemon = daemon
        self.created = self.failed = self.kills = self.restarts = self.flips = 0
        self.samples: list[tuple[float, dict[str, float]]] = []
        self._directory = directory
        self._chance = random.Random(seed)
        self._alive: deque[tuple[api.PodSandbox, api.Container]] = deque()
        self._reference = Reference()
        self._create_us: deque[float] = deque(maxlen=500)
        self._reference_us: deque[float] = deque(maxlen=500)
        self._number = RUNNING

    def run(self, seconds: float) -> None:
        """Live for so long."""
        began = time.monotonic()
        killing_until, filling_until = began + seconds / 8, began + seconds * 3 / 8
        flip_at, kill_at, sample_at = began, began + KILL_S, filling_until + SAMPLE_S
        while (now := time.monotonic()) < began + seconds:
            self._churn()
            if now >= flip_at:
                flip_at, self.flips = now + FLIP_S, self.flips + 1
                self.daemon.set_policy(everything(self.flips % 2))
            if now >= kill_at:
                kill_at = now + KILL_S
                self._kill(either=now < killing_until)
            if now >= sample_at:
                sample_at = now + SAMPLE_S
                self.samples.append((now - began, self._sample()))
            if now >= filling_until:
                time.sleep(PACE_S)

    def _churn(self) -> None:
        """One pod comes, and the oldest goes."""
        self._reference_us.append(self._reference.round_trip_us())
        self._number += 1
        kind = KINDS[self._number % len(KINDS)]
        pod = make_pod(kind, self._number)
        container = make_container(pod, kind, self._number)
        if self._chance.random() < BAD:
            self._damage(pod)
        self.runtime.run_pod_sandbox(pod)
        self._alive.append((pod, container))
        try:
            spec = self.runtime.create_container(pod.id, container).spec
            write_cgroups(self.daemon.host, pod, [spec])
            self.runtime.start_container(container.id)
            self.created += 1
        except CRIError:
            self.failed += 1
        if len(self._alive) > ALIVE:
            self._end(*self._alive.popleft())

    def _damage(self, pod: api.PodSandbox) -> None:
        keys = sorted(key for key in pod.annotations if "koordinator.sh/" in key)
        key = self._chance.choice(keys) if keys else "koordinator.sh/cpuBurst"
        [text] = mutated([pod.annotations[key].encode() or b"{}"], 1, self._chance.randrange(1 << 30))
        pod.annotations[key] = text.decode(errors="replace")

    def _end(self, pod: api.PodSandbox, container: api.Container) -> None:
        if container.id in self.runtime.containers:
            self.runtime.remove_container(container.id)
        shutil.rmtree(self.daemon.host / "sys/fs/cgroup" / cgroup_of(pod), ignore_errors=True)
        self.runtime.stop_pod_sandbox(pod.id)
        self.runtime.remove_pod_sandbox(pod.id)

    def _kill(self, *, either: bool) -> None:
        if either and self.kills <= self.restarts:
            self.kills += 1
            psutil.Process(self.daemon._popen.pid).kill()
            self.daemon._popen.wait()
            self.daemon = BenchedDaemon(self.runtime, self._directory, self.daemon.host)
        else:
            self.restarts += 1
            self.runtime.restart()
        self.daemon.wait_until(lambda: bool(self.runtime.plugins), 0.05, "the daemon to be registered")

    def _sample(self) -> dict[str, float]:
        process = psutil.Process(self.daemon._popen.pid)
        calls = self.runtime.calls
        self._create_us.extend(c.duration_s * 1e6 for c in calls if c.event == "CREATE_CONTAINER" and not c.error)
        calls.clear()
        return {
            "memory": process.memory_info().rss / (1 << 20),
            "descriptors": process.num_fds(),
            "threads": process.num_threads(),
            "state": _bytes_in(self._directory / "state") / 1024,
            "create p99": percentiles(self._create_us)["p99"],
            REFERENCE: percentiles(self._reference_us)["p99"],
        }

    def close(self) -> None:
        """End both processes."""
        self.daemon.stop()
        self._reference.close()

    def bugs(self) -> list[str]:
        """Lines of the daemon's log that should not be there."""
        lines = (self._directory / "log").read_text(errors="replace").splitlines()
        logged = [json.loads(line) for line in lines if line.startswith("{")]
        return [str(line) for line in logged if line["event"] in BUGS or line.get("fault") == "bug"]


def _bytes_in(directory: Path) -> int:
    size = 0
    for file in directory.iterdir():
        with contextlib.suppress(FileNotFoundError):  # a new file has taken the place of the old one
            size += file.stat().st_size
    return size


def unexplained(times_s: Sequence[float], values: Sequence[float], load: Sequence[float]) -> list[float]:
    """The values as they would be under the mean load, if they rise with it in a straight line. How they do is taken from what neither
    follows time: so growth with time stays.
    """
    rises, ups = _beyond_line(times_s, values), _beyond_line(times_s, load)
    if len(set(ups)) < 2:
        return list(values)
    slope, mean = max(linear_regression(ups, rises).slope, 0.0), fmean(load)
    return [value - slope * (at - mean) for value, at in zip(values, load, strict=True)]


def _beyond_line(times_s: Sequence[float], values: Sequence[float]) -> list[float]:
    slope, start = linear_regression(times_s, values)
    return [value - slope * at - start for at, value in zip(times_s, values, strict=True)]


def has_grown(times_s: Sequence[float], values: Sequence[float], floor: float) -> tuple[bool, float, float]:
    """(whether it has grown beyond noise, slope per hour, noise)."""
    slope = linear_regression(times_s, values).slope
    noise = pstdev(_beyond_line(times_s, values))
    growth = slope * (times_s[-1] - times_s[0])
    return growth > max(NOISES * noise, floor), slope * 3600, noise


def main() -> int:
    """0: nothing grew, and nothing else was wrong."""
    arguments = argparse.ArgumentParser(description="Let the daemon live on a busy node, and fail if it grows.")
    arguments.add_argument("--seconds", type=int, default=1800, help="[1800]")
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    with started(RUNNING, LATEST, everything(), cgroups=2) as daemon:
        soak = Soak(daemon.runtime, daemon, daemon._policy.parent, given.seed)
        try:
            soak.run(given.seconds)
        finally:
            soak.close()
        return _report(soak)


def _report(soak: Soak) -> int:
    print(f"{soak.created} containers created, {soak.failed} not; {soak.flips} changes of policy")
    print(f"daemon killed {soak.kills} times, runtime restarted {soak.restarts} times; {len(soak.samples)} samples")
    failures = soak.bugs()
    times_s = [at for at, _ in soak.samples]
    for name, (unit, floor) in MEASURES.items():
        values = [sample[name] for _, sample in soak.samples]
        if name == "create p99":
            values = unexplained(times_s, values, [sample[REFERENCE] for _, sample in soak.samples])
        grown, slope, noise = has_grown(times_s, values, floor)
        text = f"{name}: mean {fmean(values):.1f} {unit}, slope {slope:+.2f} per hour, noise {noise:.2f}"
        print(text)
        if grown and len(times_s) >= FEWEST:
            failures.append(f"grew: {text}")
    for failure in failures[:20]:
        print(f"FAILED: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
