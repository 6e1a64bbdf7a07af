"""A set of CPU (or memory node) numbers, in the kernel's list format: `0-3,8`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

MOST_CHARACTERS = 65_536
"""Longest text accepted. The kernel itself accepts about 100 characters plus 6 per CPU. Longer texts would only cost time."""
_MOST_REMEMBERED = 1000
"""Longest text whose result is cached; pods' owners write these texts, and cached ones outlive the pods."""
MAX_CPU = 8191
"""Largest number accepted: the kernel's bound NR_CPUS. `0-4000000000` must not use up the daemon's memory."""


class CPUSet:
    """Immutable set of CPU numbers. Stored as a bit mask, so set operations cost no allocation per CPU."""

    __slots__ = ("mask",)

    def __init__(self, cpus: Iterable[int] = ()) -> None:
        mask = 0
        for cpu in cpus:
            if not 0 <= cpu <= MAX_CPU:
                raise ValueError(f"expected CPU numbers 0..{MAX_CPU}, got {cpu}")
            mask |= 1 << cpu
        self.mask = mask

    @classmethod
    def _of(cls, mask: int) -> CPUSet:
        new = cls.__new__(cls)
        new.mask = mask
        return new

    @classmethod
    def of_mask(cls, mask: int) -> CPUSet:
        """The set for a bit mask, for arithmetic on many sets: bit n is CPU n."""
        return cls._of(mask)

    @classmethod
    def parse(cls, text: str) -> CPUSet:
        """Parse the kernel's list format; "" is the empty set.

        Raises ValueError that names the faulty part and its position in the text.
        """
        if len(text) <= _MOST_REMEMBERED:
            return cls._remembered(text)
        if len(text) > MOST_CHARACTERS:
            raise ValueError(f'"{text[:20]}…": expected at most {MOST_CHARACTERS} characters, got {len(text)}')
        return cls._parse(text)

    @classmethod
    @lru_cache(1024)
    def _remembered(cls, text: str) -> CPUSet:
        return cls._parse(text)

    @classmethod
    def _parse(cls, text: str) -> CPUSet:
        mask = 0
        if not text.strip():
            return cls._of(0)
        for part in dict.fromkeys(text.split(",")):
            first, dash, last = part.strip().partition("-")
            low = _number(first, text, part)
            high = _number(last, text, part) if dash else low
            if high < low:
                raise ValueError(f'"{part}" at position {_position(part, text)}: expected start <= end')
            mask |= (1 << (high + 1)) - (1 << low)
        return cls._of(mask)

    def __str__(self) -> str:
        """The kernel's canonical list: ascending, ranges joined."""
        parts: list[str] = []
        mask, offset = self.mask, 0
        while mask:
            gap = (mask & -mask).bit_length() - 1
            mask >>= gap
            run = (~mask & (mask + 1)).bit_length() - 1
            first = offset + gap
            parts.append(str(first) if run == 1 else f"{first}-{first + run - 1}")
            mask >>= run
            offset = first + run
        return ",".join(parts)

    def __repr__(self) -> str:
        return f"CPUSet({str(self)!r})"

    def __iter__(self) -> Iterator[int]:
        mask = self.mask
        while mask:
            low = mask & -mask
            yield low.bit_length() - 1
            mask ^= low

    def __len__(self) -> int:
        return self.mask.bit_count()

    def __bool__(self) -> bool:
        return self.mask != 0

    def __contains__(self, cpu: int) -> bool:
        return cpu >= 0 and bool(self.mask >> cpu & 1)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CPUSet) and self.mask == other.mask

    def __hash__(self) -> int:
        return hash(self.mask)

    def __or__(self, other: CPUSet) -> CPUSet:
        return CPUSet._of(self.mask | other.mask)

    def __and__(self, other: CPUSet) -> CPUSet:
        return CPUSet._of(self.mask & other.mask)

    def __sub__(self, other: CPUSet) -> CPUSet:
        return CPUSet._of(self.mask & ~other.mask)

    def __le__(self, other: CPUSet) -> bool:
        """Subset."""
        return self.mask & ~other.mask == 0


NO_CPUS = CPUSet()


def union(sets: Iterable[CPUSet]) -> CPUSet:
    """All CPUs that are in one of them."""
    mask = 0
    for one in sets:
        mask |= one.mask
    return CPUSet.of_mask(mask)


def _number(text: str, whole: str, part: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 4 or int(text) > MAX_CPU:
        at = _position(part, whole)
        raise ValueError(f'"{text[:20]}" at position {at} of "{whole[:60]}": expected a CPU number 0..{MAX_CPU}')
    return int(text)


def _position(part: str, whole: str) -> int:
    """Where a part of the list first stands in it."""
    parts = whole.split(",")
    return sum(len(before) + 1 for before in parts[: parts.index(part)])
