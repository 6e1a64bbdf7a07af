"""Texts of cgroup files with one value: numbers, CPU bandwidth and weight, memory, CPU sets. One function per kind of spelling.

Each function takes the field and the cgroup version, and returns how that version spells it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from koordnri.host.memory import page_bytes
from koordnri.model import UNLIMITED, CPUSet, Field
from koordnri.model.convert import MAX_SHARES, MIN_SHARES, shares_to_weight

IDLE_SHARES = 0
"""cpu.shares of an idle cgroup on v2, whose cpu.weight reads 0; on v1 it reads 3"""
_MAX_BYTES = 2**63 - 1


class Text(NamedTuple):
    """How one cgroup version spells the values of one field.

    parse   (text, key) → value. Raises ValueError, with what was expected, for what no kernel writes
    spell   (value, key, current text of the file) → text to write. Raises ValueError for a value that no kernel takes
    alike   (wanted, read) → whether the kernel means the same by both
    """

    parse: Callable[[str, str], Any]
    spell: Callable[[Any, str, str], str]
    alike: Callable[[Any, Any], bool]


def natural(field: Field, version: int) -> Text:
    """A number, 0 or more."""
    return Text(_parse_number, spell_natural, equal)


def signed(field: Field, version: int) -> Text:
    """A whole number."""
    return Text(_parse_number, _spell_signed, equal)


def processes(field: Field, version: int) -> Text:
    """A whole number of each process. Where they differ, the value is the text of all, which equals no number."""
    return Text(_parse_processes, _spell_signed, equal)


def _parse_processes(text: str, key: str) -> int | str:
    text = text.strip()
    return text if " " in text else parse_int(text)


def cpuset(field: Field, version: int) -> Text:
    """A list of CPUs or memory nodes."""
    return Text(_parse_cpus, _spell_cpus, field.same)


def quota(field: Field, version: int) -> Text:
    """The CFS quota in µs. On v2 it shares the file with the period, and both are always written, so that neither falls back."""
    if version == 1:
        return Text(_parse_quota, _v1_limit, field.same)
    return Text(_parse_max_quota, _spell_max_quota, field.same)


def period(field: Field, version: int) -> Text:
    """The CFS period in µs, on v2 beside the quota."""
    if version == 1:
        return natural(field, version)
    return Text(_parse_max_period, _spell_max_period, equal)


def shares(field: Field, version: int) -> Text:
    """CPU shares, of which v2 has a weight."""
    if version == 1:
        return Text(_parse_number, _spell_shares, _same_shares)
    return Text(_parse_weight, _spell_weight, _same_weight)


def limit(field: Field, version: int) -> Text:
    """A limit in bytes."""
    return Text(_parse_bytes, _v1_limit if version == 1 else _v2_limit, _same_limit)


def limit_as_on_v2(field: Field, version: int) -> Text:
    """A limit in bytes of a file that v1 kernels took over from v2."""
    return Text(_parse_bytes, _v2_limit, _same_limit)


def protection(field: Field, version: int) -> Text:
    """Bytes that are protected."""
    return Text(_parse_bytes, _spell_protection, _same_bytes)


def weights(shares: int) -> frozenset[int]:
    """Every cpu.weight that a runtime may have made of cpu.shares; the kernel's range of shares is kept.

    Linear is what Kubernetes, koordlet and runc before 1.3.2 compute, and we write. runc since 1.3.2 and crun since 1.23 fit a curve
    through minimum, default and maximum (opencontainers/cgroups). Where that meets a whole number exactly, the last bit of a
    logarithm decides about rounding up, and libraries differ in it.
    """
    shares = _clamp_shares(shares)
    log = math.log2(shares)
    curved = 10 ** ((log * log + 125 * log) / 612 - 7 / 34)
    some = {shares_to_weight(shares), math.ceil(curved)}
    if abs(curved - round(curved)) < 1e-6:
        some |= {round(curved), round(curved) + 1}
    return frozenset(min(max(w, 1), 10_000) for w in some)


def _clamp_shares(shares: int) -> int:
    return min(max(shares, MIN_SHARES), MAX_SHARES)


def _same_shares(wanted: int, read: int) -> bool:
    return _clamp_shares(wanted) == read


def _spell_shares(value: Any, key: str, current: str) -> str:
    return str(_clamp_shares(whole(value)))


def _same_weight(wanted: int, read: int) -> bool:
    # `read` is the smallest number of shares with the weight that was read, so this way back to the weight is exact.
    return wanted == read or (read != IDLE_SHARES and shares_to_weight(read) in weights(wanted))


def _parse_weight(text: str, key: str) -> int:
    weight = parse_int(text)
    if weight == 0:
        return IDLE_SHARES
    if not 1 <= weight <= 10_000:
        raise ValueError(f"expected a weight 1..10000, got {weight}")
    # koordlet's way back (convert.weight_to_shares) rounds down, and the result has another weight.
    return MIN_SHARES + -((1 - weight) * 262_142 // 9999)


def _spell_weight(value: Any, key: str, current: str) -> str:
    return str(shares_to_weight(_clamp_shares(whole(value))))


# Numbers


def parse_int(text: str) -> int:
    """Raises ValueError for what is no whole number of up to 20 digits."""
    text = text.strip()
    digits = text[1:] if text[:1] == "-" else text
    if len(digits) > 20 or not (digits.isascii() and digits.isdecimal()):
        raise ValueError(f"expected a number, got {text[:40]!r}")
    return int(text)


def whole(value: Any) -> int:
    """The value, if it is a whole number. Raises ValueError for any other."""
    if type(value) is not int:
        raise ValueError(f"expected a whole number, got {value!r}")
    return value


def spell_natural(value: Any, key: str = "", current: str = "") -> str:
    """A number, 0 or more. Raises ValueError for any other value."""
    if whole(value) < 0:
        raise ValueError(f"expected 0 or more, got {value}")
    return str(value)


def _parse_number(text: str, key: str) -> int:
    return parse_int(text)


def _spell_signed(value: Any, key: str, current: str) -> str:
    return str(whole(value))


def _v1_limit(value: Any, key: str, current: str) -> str:
    return str(value) if whole(value) > 0 else "-1"


def _v2_limit(value: Any, key: str, current: str) -> str:
    return str(value) if whole(value) > 0 else "max"


def _spell_protection(value: Any, key: str, current: str) -> str:
    return str(value) if whole(value) >= 0 else "max"


def equal(wanted: Any, read: Any) -> bool:
    """Of values that the kernel shows as they were written."""
    return bool(wanted == read)


# CPU bandwidth


def _parse_quota(text: str, key: str) -> int:
    return max(parse_int(text), UNLIMITED)


def _max_parts(text: str) -> tuple[str, str]:
    quota, _, period = text.strip().partition(" ")
    return quota, period


def _parse_max_quota(text: str, key: str) -> int:
    quota, _ = _max_parts(text)
    return UNLIMITED if quota == "max" else parse_int(quota)


def _parse_max_period(text: str, key: str) -> int:
    return parse_int(_max_parts(text)[1])


def _spell_max_quota(value: Any, key: str, current: str) -> str:
    return f"{_v2_limit(value, key, '')} {_max_parts(current)[1]}".rstrip()


def _spell_max_period(value: Any, key: str, current: str) -> str:
    return f"{_max_parts(current)[0]} {spell_natural(value)}"


# Switches

_OFF = "NO_"


def switch(field: Field, version: int) -> Text:
    """One of many switches of a file, which lists each as `NAME` or `NO_NAME`. The kernel takes one word per write."""
    return Text(_parse_switch, lambda value, key, current: key if value else f"{_OFF}{key}", equal)


def switch_names(text: str) -> frozenset[str]:
    """The names in such a file."""
    return frozenset(word.removeprefix(_OFF) for word in text.split())


def _parse_switch(text: str, key: str) -> int:
    words = text.split()
    if key not in words and f"{_OFF}{key}" not in words:
        raise ValueError(f"expected {key} or {_OFF}{key} in the file, got neither")
    return int(key in words)


# Memory


def _parse_bytes(text: str, key: str) -> int:
    text = text.strip()
    value = UNLIMITED if text == "max" else parse_int(text)
    # v1 has no word for no limit: it shows the largest number of whole pages.
    return UNLIMITED if value < 0 or value >= _MAX_BYTES // page_bytes() * page_bytes() else value


def _same_bytes(wanted: int, read: int) -> bool:
    return wanted == read or _pages(wanted) == _pages(read)


def _same_limit(wanted: int, read: int) -> bool:
    return _same_bytes(wanted if wanted > 0 else UNLIMITED, read)


def _pages(value: int) -> int:
    most = _MAX_BYTES // page_bytes()
    return most if value < 0 else min(value // page_bytes(), most)


# CPU sets


def _parse_cpus(text: str, key: str) -> str:
    text = text.strip()
    CPUSet.parse(text)
    return text


def _spell_cpus(value: Any, key: str, current: str) -> str:
    # A write of no bytes never reaches the kernel, so an empty cpuset is written as a newline.
    return str(CPUSet.parse(str(value))) or "\n"
