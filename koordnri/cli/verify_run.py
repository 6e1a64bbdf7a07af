"""Creates the pods of `koordnri verify`, waits for them, and deletes them, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any, NamedTuple

from koordnri.cli.control import ControlError
from koordnri.cli.verify_expected import Expectations, Expected
from koordnri.cli.verify_judge import Found, Shape, exclusive_cpus, judge
from koordnri.cli.verify_pods import RUN_LABEL, Placement
from koordnri.cli.verify_rights import refused_create
from koordnri.kube import ApiRefused, KubeError, PodCalls
from koordnri.model import CPUSet
from koordnri.model.cpuset import NO_CPUS

PAUSE_S = 0.5
"""between two looks at the pods"""
_ATTEMPTS = 3
"""at each deletion"""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Explain = Callable[[str], Shape]
"""Name of a pod → the daemon's explanation. Raises ControlError."""


class Clock(NamedTuple):
    """Time, as tests replace it."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within it a signal that ends the process raises SystemExit(128 + its number), so that the pods are deleted first."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    with _handling(interrupt):
        yield


@contextlib.contextmanager
def _handling(handler: signal.Handlers | Callable[[int, FrameType | None], None]) -> Iterator[None]:
    caught = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores SIGHUP
    before = {number: signal.signal(number, handler) for number in caught}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


@contextlib.contextmanager
def created(calls: PodCalls, place: Placement, manifests: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    """Within it the pods are there. Gives name → why the API server refuses the pod, of those that it does.

    Raises VerifyError when it can refuse no pod for itself: rights or namespace are missing; KubeError.
    """
    names, refusals = list[str](), dict[str, str]()
    try:
        for manifest in manifests:
            name = manifest["metadata"]["name"]
            names.append(name)  # before the request, whose answer may get lost
            try:
                calls.create(manifest)
            except ApiRefused as refused:
                refusals[name] = refused_create(refused, place.namespace)
        yield refusals
    finally:
        _delete(calls, place, names)


def _delete(calls: PodCalls, place: Placement, names: Sequence[str]) -> None:
    with _handling(signal.SIG_IGN):
        failed = [error for name in names if (error := _deleted(calls, name))]
    if failed:
        print(f"Error: pods may be left: {failed[0]}", file=sys.stderr)
        print(f"kubectl -n {place.namespace} delete pods -l {RUN_LABEL}={place.run}", file=sys.stderr)


def _deleted(calls: PodCalls, name: str) -> str:
    """Why the pod could not be deleted; "" when it could."""
    problem = ""
    for _ in range(_ATTEMPTS):
        try:
            calls.delete(name)
        except KubeError as error:
            problem = str(error)
        else:
            return ""
    return problem


def look(
    calls: PodCalls,
    place: Placement,
    expectations: Expectations,
    refusals: Mapping[str, str],
    explain: Explain,
    timeout_s: float,
    clock: Clock,
) -> list[Found]:
    """Look at the pods until all are as expected, or the time (s) is over. Gives the last look. Raises KubeError."""
    end_s = clock.monotonic() + timeout_s
    while True:
        found, final = _Look(calls, place, expectations.cgroup_version, refusals, explain).all(expectations.of)
        if final or clock.monotonic() >= end_s:
            return found
        clock.sleep(PAUSE_S)


class _Look:
    """One look at all pods."""

    def __init__(
        self, calls: PodCalls, place: Placement, cgroup_version: int, refusals: Mapping[str, str], explain: Explain
    ) -> None:
        self._calls = calls
        self._place = place
        self._cgroup_version = cgroup_version
        self._refusals = refusals
        self._explain = explain
        self._taken: CPUSet = NO_CPUS
        """exclusive CPUs of the classes that came before"""
        self._final = True

    def all(self, expected: Sequence[Expected]) -> tuple[list[Found], bool]:
        """What was found, and whether another look could find nothing else that matters."""
        return [self._one(one) for one in expected], self._final

    def _one(self, expected: Expected) -> Found:
        name = self._place.name(expected.sample.title)
        if name in self._refusals:
            return Found({}, (self._refusals[name],))
        phase, why = self._calls.progress(name)
        if phase != "Running":
            self._final &= phase not in ("Pending", "Unknown")
            return Found({}, (_not_running(phase, why, self._place),))
        try:
            shape = self._explain(name)
        except ControlError as error:
            self._final = False
            return Found({}, (error.message,))
        found = judge(expected, shape, self._cgroup_version, self._taken)
        self._taken |= exclusive_cpus(shape)
        self._final &= not found.problems
        return found


def _not_running(phase: str, why: str, place: Placement) -> str:
    if "Image" in why or "Err" in why:
        return f"it does not run: {why}; --image names another image (now {place.image})"
    if phase == "Pending" and not why:
        return f"it does not start; is {place.node} the name of this Node in the API server, and does its kubelet run?"
    return f"it does not run: {phase or 'Deleted'}" + (f": {why}" if why else "")
