"""The pod annotation `node.koordinator.sh/resctrl`: cache ways and bandwidth that a pod asks for.

Source: koordinator.md 6.2.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, field

from koordnri.model.annotations import RESCTRL_KEY, Annotation
from koordnri.model.go_json import go_decoder
from koordnri.model.schemata import GroupWish, Range

_Percent = Annotated[int, Meta(ge=0, le=100)]
_Share = Annotated[int, Meta(ge=1, le=100)]
_CacheID = Annotated[int, Meta(ge=0)]


class _Ways(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    range: tuple[_Percent, _Percent]

    def __post_init__(self) -> None:
        if self.range[0] >= self.range[1]:
            raise ValueError(f"expected a range whose end is above its start, got {list(self.range)}")


class _WaysAt(_Ways, frozen=True, forbid_unknown_fields=True):
    cache_id: _CacheID = field(name="cacheID")


class _Bandwidth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    percent: _Share


class _BandwidthAt(_Bandwidth, frozen=True, forbid_unknown_fields=True):
    cache_id: _CacheID = field(name="cacheID")


class _CacheSpec(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    schemata: _Ways | None = None
    schemata_per_cache: list[_WaysAt] | None = None

    def __post_init__(self) -> None:
        _refuse_twice([one.cache_id for one in self.schemata_per_cache or ()])


class _BandwidthSpec(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    schemata: _Bandwidth | None = None
    schemata_per_cache: list[_BandwidthAt] | None = None

    def __post_init__(self) -> None:
        _refuse_twice([one.cache_id for one in self.schemata_per_cache or ()])


class ResctrlSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`node.koordinator.sh/resctrl`. Each part: a value for all caches, and others by cache id; what is absent is not limited.

    `l2` is our addition: koordlet only knows the last-level cache.
    """

    llc: _CacheSpec | None = None
    l2: _CacheSpec | None = None
    mb: _BandwidthSpec | None = None

    @property
    def wish(self) -> GroupWish:
        """In the form for `schemata`."""
        llc, l2, mb = self.llc or _CacheSpec(), self.l2 or _CacheSpec(), self.mb or _BandwidthSpec()
        return GroupWish(
            llc.schemata.range if llc.schemata else None,
            _ranges(llc),
            l2.schemata.range if l2.schemata else None,
            _ranges(l2),
            mb.schemata.percent if mb.schemata else None,
            {one.cache_id: one.percent for one in mb.schemata_per_cache or ()},
        )


def _ranges(spec: _CacheSpec) -> dict[int, Range]:
    return {one.cache_id: one.range for one in spec.schemata_per_cache or ()}


def _refuse_twice(ids: list[int]) -> None:
    seen: set[int] = set()
    for one in ids:
        if one in seen:
            raise ValueError(f"expected each cacheID once in schemataPerCache, got {one} again")
        seen.add(one)


RESCTRL = Annotation(RESCTRL_KEY, go_decoder(ResctrlSpec))
