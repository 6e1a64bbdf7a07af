"""How long the pods of each QoS class were held back by their quota, and waited for a CPU. For the metrics.

Read when somebody scrapes, at most every 30 s: one or two files per pod, and one per container with a CPU limit. Nothing is read per
thread, as `koordnri top` does it: that costs a file for each thread of the node.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from koordnri.answers.containers import quota_milli
from koordnri.host.cgroup.paths import container_directory, pod_directory
from koordnri.host.usage.cpu import read_cpu
from koordnri.host.usage.files import UsageFiles
from koordnri.host.usage.pressure import read_waited_us
from koordnri.model import NodeError, Pod
from koordnri.state.ledger import Ledger

EVERY_S = 30.0
"""A scrape within this time (s) after the last reading gets what was read then."""
_PAUSE_S = 0.00001
"""After each pod, if the runtime is busy: see koordnri.host.cgroup.files.PacedFiles."""
_US = 1_000_000


class ClassTimes(NamedTuple):
    """QoS class → s, since the cgroups of its pods were made, or since the daemon began to look."""

    throttled_s: Mapping[str, float]
    waiting_s: Mapping[str, float]
    """empty on a kernel without pressure stall information"""


class ClassClock:
    """Adds up what the counters of the pods' cgroups gain, so that a pod's end takes nothing away.

    files     the host's cgroup files; called once per reading
    runtime   name of the runtime
    is_busy   whether other threads should not be kept waiting
    """

    def __init__(
        self,
        ledger: Ledger,
        files: Callable[[], UsageFiles],
        runtime: Callable[[], str],
        is_busy: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._open = files
        self._runtime = runtime
        self._is_busy = is_busy
        self._monotonic = monotonic
        self._reading = threading.Lock()
        self._next_s = 0.0
        self._throttled_us: Counter[str] = Counter()
        self._waiting_us: Counter[str] = Counter()
        self._last: dict[tuple[str, str], int] = {}
        """(cgroup, which counter) → value at the last reading"""
        self._times = ClassTimes({}, {})

    def now(self) -> ClassTimes:
        """Any thread may ask. While another one reads, the answer is that of the last reading."""
        if self._monotonic() >= self._next_s and self._reading.acquire(blocking=False):
            try:
                self._read()
            finally:
                self._reading.release()
        return self._times

    def _read(self) -> None:
        files, seen = self._open(), _Seen(self._last)
        for pod in self._ledger.pods():
            with contextlib.suppress(NodeError):
                self._read_pod(files, pod, seen)
            if self._is_busy():
                time.sleep(_PAUSE_S)
        self._last, self._next_s = seen.now, self._monotonic() + EVERY_S
        self._times = ClassTimes(
            {name: us / _US for name, us in self._throttled_us.items()},
            {name: us / _US for name, us in self._waiting_us.items()},
        )

    def _read_pod(self, files: UsageFiles, pod: Pod, seen: _Seen) -> None:
        directory, inside_us = pod_directory(pod.cgroup_parent), 0
        for entry in self._ledger.containers_of(pod.id):
            if not entry.ended and quota_milli(entry) is not None:
                below = container_directory(pod.cgroup_parent, entry.id, self._runtime())
                inside_us += seen.gain(below, "throttled", read_cpu(files, below).throttled_us)
        own_us = seen.gain(directory, "throttled", read_cpu(files, directory).throttled_us)
        qos = pod.qos_or_default.value
        # Threads may be held back on both levels at the same time: as in `koordnri top`, the greater one counts.
        self._throttled_us[qos] += max(own_us, inside_us)
        if (waited_us := read_waited_us(files, directory)) is not None:
            self._waiting_us[qos] += seen.gain(directory, "waiting", waited_us)


class _Seen:
    """The counters of one reading, and those of the reading before."""

    def __init__(self, before: Mapping[tuple[str, str], int]) -> None:
        self._before = before
        self.now: dict[tuple[str, str], int] = {}

    def gain(self, directory: str, counter: str, value: int | None) -> int:
        """How much a counter has grown; all of it in a new cgroup, also in one with the name of an old one."""
        if value is None:
            return 0
        self.now[directory, counter] = value
        before = self._before.get((directory, counter), 0)
        return value - before if value >= before else value
