"""Lines of a resctrl group's `schemata`: cache ways from percent ranges, memory bandwidth from percent. Pure.

    L3:0=7f0;1=7f0;     ways of the cache as bits; with cdp mounted, one line for code and one for data; likewise L2
    MB:0=50;1=50;       Intel: percent; AMD: 1/8 GB/s; mounted with mba_MBps: MB/s

Formulas: koordinator.md 6.1. Where koordlet would write what the kernel refuses (a range without a whole way, gaps in cache ids, a line
that lacks a cache), this writes what was meant. Kernel: Documentation/filesystems/resctrl.rst.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

PERCENT, AMD_UNITS, MBPS = "percent", "1/8 GB/s", "MB/s"
"""Unit of the values in an MB line."""
AMD_FULL = 2048
"""Value of an unlimited group on AMD."""
MBPS_FULL = 2**32 - 1
"""Value of an unlimited group if resctrl is mounted with mba_MBps."""
_V = TypeVar("_V")
_AMD_BASE = 160
"""koordlet's 100 %: 80 % of 25 GB/s per L3 domain, in 1/8 GB/s."""
_MBPS_PER_AMD_UNIT = 125

Range = tuple[int, int]
"""Percent of the ways: from, to; 0 ≤ from < to ≤ 100."""
Lines = dict[str, dict[int, int]]
"""Resource → cache id → value: the content of a `schemata` file."""


@dataclass(frozen=True, slots=True)
class Cache:
    """A resource that is divided by ways."""

    name: str
    """as in schemata: L3, L3CODE, L3DATA, L2, L2CODE, L2DATA"""
    cbm_mask: int
    ids: tuple[int, ...]
    min_bits: int = 1
    """least number of ways that the kernel accepts"""

    @property
    def level(self) -> str:
        """L3 or L2."""
        return self.name[:2]


@dataclass(frozen=True, slots=True)
class MemoryBandwidth:
    """The resource MB."""

    ids: tuple[int, ...]
    unit: str = PERCENT
    gran: int = 10
    """step of the percentage"""
    least: int = 10
    full: int = 100
    """value of an unlimited group"""


class Mask(NamedTuple):
    """Ways of one cache."""

    bits: int
    widened: bool
    """whether the range was narrower than the kernel accepts"""


@dataclass(frozen=True, slots=True)
class GroupWish:
    """What a group should have; None: all. `…_at`: cache id → value for that cache instead."""

    llc: Range | None = None
    llc_at: Mapping[int, Range] = field(default_factory=dict)
    """the last-level cache: L3, or L2 on a CPU whose L3 cannot be divided"""
    l2: Range | None = None
    l2_at: Mapping[int, Range] = field(default_factory=dict)
    mb: int | None = None
    mb_at: Mapping[int, int] = field(default_factory=dict)
    """percent"""


class Schemata(NamedTuple):
    """All lines of a group, each with every cache id of the node, so that nothing from before remains."""

    lines: Lines
    notes: tuple[str, ...] = ()
    """parts of the wish that could not be met"""


def cache_mask(cbm_mask: int, start: int, end: int, min_bits: int = 1) -> Mask:
    """The ways from `start` to `end` percent. Raises ValueError for a mask with gaps, or an invalid range."""
    if cbm_mask <= 0 or cbm_mask & (cbm_mask + 1):
        raise ValueError(f"expected a cache mask of ones only, got {cbm_mask:x}")
    if not 0 <= start < end <= 100:
        raise ValueError(f"expected a range with 0 <= start < end <= 100, got {start}..{end}")
    ways = cbm_mask.bit_length()
    first, last = -(-ways * start // 100), -(-ways * end // 100)
    width = min(max(min_bits, 1), ways)
    widened = last - first < width
    if widened:
        last = min(first + width, ways)
        first = last - width
    return Mask((1 << last) - (1 << first), widened)


def bandwidth_value(bandwidth: MemoryBandwidth, percent: int | None, domain_mbps: int | None = None) -> int | None:
    """The value of an MB line; None for no limit: no percent, 0 or less, above 100, or MB/s of an unknown total.

    domain_mbps   memory bandwidth of one L3 domain, MB/s, if the policy sets it
    """
    if percent is None or not 0 < percent <= 100:
        return None
    if bandwidth.unit == PERCENT:
        return min(max(-(-percent // bandwidth.gran) * bandwidth.gran, bandwidth.least), bandwidth.full)
    if percent == 100:
        return bandwidth.full
    if bandwidth.unit == AMD_UNITS:
        units = _AMD_BASE * percent // 100
        if domain_mbps is not None:
            units = domain_mbps * percent // 100 // _MBPS_PER_AMD_UNIT
        return min(max(units, bandwidth.least, 1), bandwidth.full)
    return None if domain_mbps is None else min(max(domain_mbps * percent // 100, 1), bandwidth.full)


def full(caches: tuple[Cache, ...], bandwidth: MemoryBandwidth | None) -> Lines:
    """The lines of an unlimited group."""
    lines = {cache.name: dict.fromkeys(cache.ids, cache.cbm_mask) for cache in caches}
    if bandwidth is not None:
        lines["MB"] = dict.fromkeys(bandwidth.ids, bandwidth.full)
    return lines


def schemata(
    wish: GroupWish, caches: tuple[Cache, ...], bandwidth: MemoryBandwidth | None, domain_mbps: int | None = None
) -> Schemata:
    """The lines for a group's wish. What cannot be met is not limited, and a note says so.

    A cache id that the node lacks is left out; `resctrl.choice` has reported it to its author.
    """
    lines, notes = full(caches, bandwidth), list[str]()
    last_level = "L3" if any(cache.level == "L3" for cache in caches) else "L2"
    for cache in caches:
        everywhere, at = wish.l2, wish.l2_at
        if cache.level == last_level and (last_level == "L3" or (everywhere is None and not at)):
            everywhere, at = wish.llc, wish.llc_at
        for cache_id, wanted in _per_id(cache.ids, everywhere, at):
            try:
                mask = cache_mask(cache.cbm_mask, *wanted, cache.min_bits)
            except ValueError as error:
                notes.append(f"{cache.name} stays whole: {error}")
                continue
            lines[cache.name][cache_id] = mask.bits
            if mask.widened:
                notes.append(
                    f"{cache.name}: {wanted[0]}..{wanted[1]} % of {cache.cbm_mask.bit_length()} ways is less "
                    f"than the {cache.min_bits} that the kernel wants (min_cbm_bits): widened to mask {mask.bits:x}"
                )
    if bandwidth is not None:
        for cache_id, percent in _per_id(bandwidth.ids, wish.mb, wish.mb_at):
            value = bandwidth_value(bandwidth, percent, domain_mbps)
            if value is not None:
                lines["MB"][cache_id] = value
            elif bandwidth.unit == MBPS and 0 < percent < 100:
                notes.append(
                    f"MB: {percent} % stays unlimited, for resctrl is mounted with mba_MBps, "
                    "and koordnri-config.hooks.rdt.memoryBandwidthMBps does not say what 100 % is"
                )
    if not caches and (wish.llc or wish.llc_at):
        notes.append("no cache of this node can be divided")
    if bandwidth is None and (wish.mb is not None or wish.mb_at):
        notes.append("this node cannot limit memory bandwidth")
    return Schemata(lines, tuple(dict.fromkeys(notes)))  # the same note may come from several caches


def _per_id(ids: tuple[int, ...], everywhere: _V | None, at: Mapping[int, _V]) -> Iterator[tuple[int, _V]]:
    for cache_id in ids:
        wanted = at.get(cache_id, everywhere)
        if wanted is not None:
            yield cache_id, wanted


def line(resource: str, values: Mapping[int, int]) -> str:
    """`L3:0=f;1=f;` with a newline, for one write; only cache values are hexadecimal."""
    form = "{}={:x};" if resource.startswith("L") else "{}={};"
    return f"{resource}:" + "".join(form.format(cache_id, value) for cache_id, value in sorted(values.items())) + "\n"


def parse(text: str) -> Lines:
    """The content of a `schemata` file. Malformed lines are left out, and so differ from any wanted line."""
    found: Lines = {}
    for row in text.splitlines():
        resource, colon, domains = row.strip().partition(":")
        if not colon:
            continue
        base, values = 16 if resource.startswith("L") else 10, {}
        for domain in domains.split(";"):
            cache_id, equals, value = domain.partition("=")
            try:
                if equals and len(value) <= 20:
                    values[int(cache_id)] = int(value, base)
            except ValueError:
                continue
        found[resource] = values
    return found
