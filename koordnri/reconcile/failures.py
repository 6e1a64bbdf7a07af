"""Files that do not take their value: logged at once, retried a few times, then reported. Each failure once.

A file that only waits for another writer is retried silently, and logged and reported if that write never comes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from koordnri.host.cgroup.change import Status
from koordnri.model.log import Log
from koordnri.reconcile.owner import Owner

RETRIES_S = (0.5, 2.0, 5.0)
"""Pauses before retries; after the last, the failure is reported, and only sweeps retry."""
MOST_REMEMBERED = 10_000


class Failure(NamedTuple):
    """One field of a container, pod or class."""

    owner: Owner
    directory: str
    field: str
    """name, with its key"""
    value: Any
    status: str
    error: str


class Failures:
    """Used by one thread, except `reported`.

    report   called with each failure that retries did not solve
    """

    def __init__(self, log: Log, report: Callable[[Failure], None]) -> None:
        self._log = log
        self._report = report
        self._seen: dict[tuple[str, str], tuple[str, int]] = {}
        """(directory, field) → (wanted value and status, number of attempts); not the error text, whose numbers may change"""
        self._reported: dict[tuple[str, str], Failure] = {}

    def add(self, failure: Failure) -> float | None:
        """Log and report it if due. Returns the seconds until the next attempt, None to leave it to the sweep."""
        key, what = (failure.directory, failure.field), f"{failure.value} {failure.status}"
        before, times = self._seen.get(key, (what, 0))
        times = times + 1 if before == what else 1
        if len(self._seen) >= MOST_REMEMBERED and key not in self._seen:
            self._seen.clear()
            self._reported.clear()
        self._seen[key] = (what, times)
        waits = failure.status == Status.WAITS
        hopeless = failure.status not in (Status.REFUSED, Status.DRIFTED_BACK, Status.WAITS)
        last = 1 if hopeless else len(RETRIES_S) + 1
        if times == (last if waits else 1):
            self._log.warning(
                "apply_failed",
                directory=failure.directory,
                field=failure.field,
                error=failure.error,
                of=failure.owner.title,
            )
        if times == last:
            self._report(failure)
        if times >= last:
            self._reported[key] = failure
        else:
            self._reported.pop(key, None)  # another value, which is tried again
        return None if hopeless or times > len(RETRIES_S) else RETRIES_S[times - 1]

    def mended(self, directory: str, field: str) -> None:
        """The file has its value."""
        if self._seen and self._seen.pop((directory, field), None) is not None:
            self._reported.pop((directory, field), None)

    def reported(self) -> list[Failure]:
        """What was reported, and has not been mended since. Any thread may ask."""
        return list(self._reported.values())

    def keep(self, is_there: Callable[[Owner], bool]) -> None:
        """Drop reported failures whose owner is gone."""
        self._reported = {key: failure for key, failure in self._reported.items() if is_there(failure.owner)}
