"""Inputs made of the corpus by chance, without coverage: so many for a number, the same each time."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_MOST_EDITS = 4
_NUMBERS = (b"-1", b"0", b"9223372036854775808", b"4294967296", b"1e99", b"NaN", b"null", b'""', b"[]", b"{}", b"\xff")


def mutated(corpus: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """`count` inputs, each one of the corpus with some bytes changed, taken out, doubled, or put in from another one."""
    chance = random.Random(seed)
    for _ in range(count):
        data = bytearray(chance.choice(corpus))
        for _ in range(chance.randint(1, _MOST_EDITS)):
            _edit(data, chance, corpus)
        yield bytes(data)


def _edit(data: bytearray, chance: random.Random, corpus: Sequence[bytes]) -> None:
    at, size = chance.randint(0, len(data)), chance.choice((1, 1, 2, 5, 30))
    match chance.randrange(5):
        case 0 if at < len(data):
            data[at] = chance.randrange(256)
        case 1:
            del data[at : at + size]
        case 2:
            data[at:at] = data[at : at + size] * chance.choice((1, 2, 50))
        case 3:
            data[at : at + size] = chance.choice(_NUMBERS)
        case _:
            other = chance.choice(corpus)
            start = chance.randint(0, len(other))
            data[at:at] = other[start : start + size]
