"""Contains unforeseen bugs of ours: each ends only the part that it is in (a pod's pass, a policy, a page of metrics).

A bug is counted, logged with its traceback, and reported as an Event on the pod, or on the Node if it concerns no pod, once per pod and
place. SystemExit and KeyboardInterrupt are not contained: whoever raises them wants the process to end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec

from koordnri.model import Pod
from koordnri.model.log import Log

P = ParamSpec("P")
REASON = "KoordnriFault"
"""reason of the Event"""
MOST_REMEMBERED = 10_000


class Faults:
    """Any thread may call it. Without a lock a count may be lost when two threads count at the same instant; that is acceptable.

    warn_pod    sends an Event on a pod: pod, reason, message
    warn_node   sends an Event on the Node: reason, message
    """

    def __init__(
        self,
        log: Log,
        warn_pod: Callable[[Pod, str, str], None] = lambda pod, reason, message: None,
        warn_node: Callable[[str, str], None] = lambda reason, message: None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        """place → number of bugs"""
        self._log = log
        self._warn_pod = warn_pod
        self._warn_node = warn_node
        self._seen: set[tuple[str, str, str]] = set()
        """(where, pod id, type of the error) that were reported"""

    def caught(self, where: str, error: Exception, pod: Pod | None = None) -> None:
        """Report that something was given up because of this error. Call it in the `except` block."""
        self.counts[where] += 1
        key = (where, "" if pod is None else pod.id, type(error).__name__)
        if key in self._seen:
            return
        if len(self._seen) >= MOST_REMEMBERED:
            self._seen.clear()
        self._seen.add(key)
        text = f"{type(error).__name__}: {error}"[:500]
        name = "" if pod is None else f"{pod.namespace}/{pod.name}"
        self._log.error("contained_fault", where=where, pod=name, error=text, exc_info=True)
        message = f"{where}: bug in koordnri, {text}; it goes on without this, please report it"
        if pod is None:
            self._warn_node(REASON, message)
        else:
            self._warn_pod(pod, REASON, message)

    def within(self, where: str, pod: Pod | None = None) -> _Within:
        """A context: an exception ends its block and is reported, but goes no further."""
        return _Within(self, where, pod)

    def around(self, where: str, call: Callable[P, object]) -> Callable[P, None]:
        """The callback, with its exceptions contained in the same way."""

        def contained(*args: P.args, **keywords: P.kwargs) -> None:
            with self.within(where):
                call(*args, **keywords)

        return contained


class _Within:
    __slots__ = ("_faults", "_pod", "_where")

    def __init__(self, faults: Faults, where: str, pod: Pod | None) -> None:
        self._faults, self._where, self._pod = faults, where, pod

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> bool:
        if not isinstance(error, Exception):
            return False
        self._faults.caught(self._where, error, self._pod)
        return True
