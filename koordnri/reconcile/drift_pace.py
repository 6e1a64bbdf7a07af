"""How often to heal a file that somebody else keeps writing: a few times at once, then slowly."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.reconcile.drift_followed import File

AT_ONCE = 5
"""This many times in a row a file is healed at once: one update by kubelet or systemd writes a file up to three times."""
SLOWLY_S = 1.0
"""Then once per this many seconds,"""
MOST = 30
"""and after this many times it is reported, and healed only as often as files are swept."""
RARELY_S = 10.0
CALM_S = 30.0
"""A file that kept its value for so long starts from the beginning. Less than the minute after which kubelet writes the classes again."""
MOST_REMEMBERED = 10_000


class Returning(NamedTuple):
    """A file that somebody else writes again and again."""

    file: File
    times: int
    """how many times in a row it was healed"""


def pause_s(times: int) -> float:
    """Seconds to wait before healing a file that was healed so many times in a row."""
    if times < AT_ONCE:
        return 0.0
    return SLOWLY_S if times < MOST else RARELY_S


class Pace:
    """Used by one thread, except `returning`."""

    def __init__(self) -> None:
        self._healed: dict[File, tuple[int, float]] = {}
        """file → (how often in a row it was healed, when last)"""

    def wait_s(self, file: File, now_s: float) -> float:
        """A file has lost its value. Returns 0 to heal it now, which is counted; else the seconds to wait before asking again."""
        times, last_s = self._healed.get(file, (0, now_s))
        if now_s - last_s > CALM_S:
            times = 0
        elif (left_s := last_s + pause_s(times) - now_s) > 0:
            return left_s
        if len(self._healed) >= MOST_REMEMBERED and file not in self._healed:
            self._healed = {f: seen for f, seen in self._healed.items() if now_s - seen[1] <= CALM_S}
            if len(self._healed) >= MOST_REMEMBERED:
                self._healed.clear()
        self._healed[file] = (times + 1, now_s)
        return 0.0

    def times(self, file: File) -> int:
        """How many times in a row it was healed."""
        return self._healed.get(file, (0, 0.0))[0]

    def returning(self, now_s: float) -> list[Returning]:
        """Files that were healed more often than one update by kubelet or systemd explains, and not long ago. Any thread may ask."""
        healed = list(self._healed.items())  # in one step, since the other thread adds to it
        return [
            Returning(file, times) for file, (times, last_s) in healed if times >= AT_ONCE and now_s - last_s <= CALM_S
        ]
