"""How often a file is healed that somebody else keeps writing: at once a few times, then slowly, and nobody is fought for ever."""

from __future__ import annotations

AT_ONCE = 5
"""So many times in a row a file is healed as soon as it is seen: one update of kubelet or systemd writes a file up to three times."""
SLOWLY_S = 1.0
"""Then once per …"""
MOST = 30
"""… and after so many times, somebody is told of it, and it is healed as rarely as files are swept."""
RARELY_S = 10.0
CALM_S = 30.0
"""A file that was left alone for so long starts anew. Less than the minute after which kubelet writes the classes again."""
MOST_REMEMBERED = 10_000


def pause_s(times: int) -> float:
    """Seconds to leave a file alone that was healed so many times in a row."""
    if times < AT_ONCE:
        return 0.0
    return SLOWLY_S if times < MOST else RARELY_S


class Pace:
    """Used by one thread. A file is named by its directory and its name."""

    def __init__(self) -> None:
        self._healed: dict[tuple[str, str], tuple[int, float]] = {}
        """file → how often in a row, and when last"""

    def wait_s(self, file: tuple[str, str], now_s: float) -> float:
        """A file has lost its value. 0: heal it now, which is counted; else the seconds to wait, and to ask again."""
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

    def times(self, file: tuple[str, str]) -> int:
        """How often in a row it was healed so far."""
        return self._healed.get(file, (0, 0.0))[0]
