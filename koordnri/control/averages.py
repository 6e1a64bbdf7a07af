"""What each pod used over a fixed window: averages of what the sampler measured at each tick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from koordnri.control.signals import Load, PodSignals, Signals


class Average(NamedTuple):
    """Of one cgroup over the window; None: not known at any tick. Units as in Load."""

    used_cores: float | None = None
    waited_cores: float | None = None
    throttled_s: float | None = None
    cpu_pressure: float | None = None
    memory_pressure: float | None = None
    io_pressure: float | None = None
    memory_bytes: float | None = None
    io_bytes_s: float | None = None
    """read and written"""


_PLAIN = Average._fields[:-1]
_OF_CONTAINERS = tuple(map(_PLAIN.index, ("waited_cores", "throttled_s")))


class Window(NamedTuple):
    """One complete window."""

    seconds: float
    pods: Mapping[str, Average]
    """uid → average, of the pods that were there at its last tick"""
    node: Average
    stolen_cores: float | None


class Averages:
    """Adds up ticks until a window is complete."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._seconds = 0.0
        self._pods: dict[str, _Total] = {}
        self._node = _Total(len(Average._fields))
        self._stolen = _Total(1)

    def add(self, signals: Signals) -> Window | None:
        """Take a tick. Returns the window that it completes."""
        seconds = signals.interval_s
        self._seconds += seconds
        self._node.add(_values(signals.node), seconds)
        self._stolen.add([signals.stolen_cores], seconds)
        before, self._pods = self._pods, {}
        for uid, pod in signals.pods.items():
            self._pods[uid] = total = before.get(uid) or _Total(len(Average._fields))
            total.add(_of_pod(pod), seconds)
        if self._seconds < self._window_s:
            return None
        pods = {uid: Average(*total.means()) for uid, total in self._pods.items()}
        window = Window(self._seconds, pods, Average(*self._node.means()), self._stolen.means()[0])
        self._seconds, self._pods = 0.0, {}
        self._node, self._stolen = _Total(len(Average._fields)), _Total(1)
        return window


class _Total:
    """Sums of several figures, each weighted by the seconds in which it was known."""

    __slots__ = ("_seconds", "_sums")

    def __init__(self, figures: int) -> None:
        self._sums = [0.0] * figures
        self._seconds = [0.0] * figures

    def add(self, values: list[float | None], seconds: float) -> None:
        for i, value in enumerate(values):
            if value is not None:
                self._sums[i] += value * seconds
                self._seconds[i] += seconds

    def means(self) -> list[float | None]:
        return [total / known if known else None for total, known in zip(self._sums, self._seconds, strict=True)]


def _of_pod(pod: PodSignals) -> list[float | None]:
    """Its figures. Run-queue wait is only measured of containers, and a pod's cgroup counts only its own quota: the larger of the pod's and
    its containers' sum.
    """
    values = _values(pod.load)
    for i in _OF_CONTAINERS:
        inside = [value for c in pod.containers if (value := getattr(c.load, _PLAIN[i])) is not None]
        known = [value for value in (values[i], sum(inside) if inside else None) if value is not None]
        values[i] = max(known, default=None)
    return values


def _values(load: Load) -> list[float | None]:
    values: list[float | None] = [getattr(load, name) for name in _PLAIN]
    known = [rate for rate in (load.read_bytes_s, load.written_bytes_s) if rate is not None]
    return [*values, sum(known) if known else None]
