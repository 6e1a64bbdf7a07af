"""Averages over a window of time, in bounded memory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

MOST_PIECES = 240
"""A long window is kept in so many pieces, so that an hour costs no more than four minutes."""


@dataclass(slots=True)
class _Piece:
    begun_s: float
    covered_s: float
    sums: list[float]
    """of each figure, times s"""


class Window:
    """Samples of a few figures each. Time comes with the samples: monotonic seconds."""

    def __init__(self) -> None:
        self._pieces: deque[_Piece] = deque()

    def add(self, at_s: float, interval_s: float, figures: tuple[float, ...], window_s: float) -> None:
        """Add figures that are averages over the interval that ends at `at_s`, and forget what is older than the window.

        `figures` always has as many numbers.
        """
        pieces = self._pieces
        if not pieces or at_s - pieces[-1].begun_s >= window_s / MOST_PIECES:
            pieces.append(_Piece(at_s, 0.0, [0.0] * len(figures)))
        newest = pieces[-1]
        newest.covered_s += interval_s
        newest.sums = [total + figure * interval_s for total, figure in zip(newest.sums, figures, strict=True)]
        while len(pieces) > 1 and (pieces[0].begun_s <= at_s - window_s or len(pieces) > MOST_PIECES):
            pieces.popleft()

    def clear(self) -> None:
        """Forget all samples: what follows has nothing to do with them."""
        self._pieces.clear()

    @property
    def covered_s(self) -> float:
        """Seconds for which there are samples."""
        return sum(piece.covered_s for piece in self._pieces)

    def averages(self) -> tuple[float, ...]:
        """Average of each figure; raises ZeroDivisionError while `covered_s` is 0."""
        covered_s = self.covered_s
        return tuple(sum(column) / covered_s for column in zip(*(p.sums for p in self._pieces), strict=True))
