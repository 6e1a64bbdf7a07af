"""Value of a field ↔ text of its cgroup file, for v1 and v2, and whether a value that was read is the one that was wanted.

    form(CPU_QUOTA, 2).spell(50_000, "", "max 100000\n")  → "50000 100000"     writing the quota keeps the period
    form(CPU_QUOTA, 2).parse("max 100000\n", "")          → -1
    form(MEMORY_LIMIT, 1).same(5000, 4096)                → True               the kernel rounds down to pages

Values are the model's: integers with -1 for no limit, cpusets as lists, io.max as `rbps=… wbps=… riops=… wiops=…`, io.weight as a number
or `default`. The key of a keyed field is the disk's `major:minor`. Sources: cgroup-v1 and cgroup-v2 documentation, mm/page_counter.c.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from koordnri.host.memory import page_bytes
from koordnri.model import UNLIMITED, CPUSet, Field, fields
from koordnri.model.convert import MAX_SHARES, MIN_SHARES, shares_to_weight

NO_IO_LIMIT = "rbps=max wbps=max riops=max wiops=max"
"""io.max of a disk that the file does not list"""
DEFAULT = "default"
"""io.weight of a disk that the file does not list; as key, the cgroup's own weight"""
IDLE_SHARES = 0
"""cpu.shares of an idle cgroup on v2, whose cpu.weight reads 0; on v1 it reads 3"""
_NO_BPS, _NO_IOPS = 2**64 - 1, 2**32 - 1
"""From these on, a limit of a disk is none. v1 would cut a larger number of operations off at 32 bits: 2³² would be 0, and stop all."""
_IO_KEYS = {"rbps": _NO_BPS, "wbps": _NO_BPS, "riops": _NO_IOPS, "wiops": _NO_IOPS}
_MAX_BYTES = 2**63 - 1


class Form(NamedTuple):
    """How one cgroup version spells one field.

    files   below the controller's root of v1 (with the controller before it) or below the cgroup of v2; the first that exists counts
    parse   (text, key) → value. Raises ValueError, told what was expected, for what no kernel writes
    spell   (value, key, current text of the file) → text to write. Raises ValueError for a value that no kernel takes
    alike   (wanted, read) → whether the kernel means the same by both. To be asked through `same`
    """

    files: tuple[str, ...]
    parse: Callable[[str, str], Any]
    spell: Callable[[Any, str, str], str]
    alike: Callable[[Any, Any], bool]

    def same(self, wanted: Any, read: Any) -> bool:
        """Whether the kernel means the same by both. A file that could not be read (None) is the same as nothing, not even as another
        one; nor is a value of another type.
        """
        if wanted is None or read is None:
            return False
        try:
            return self.alike(wanted, read)
        except (TypeError, ValueError, AttributeError):
            return False


@cache
def form(field: Field, version: int) -> Form | None:
    """None when cgroups of that version have no file for the field."""
    files = (field.v1,) if version == 1 else field.v2
    if not files or not all(files) or field not in _SPELLINGS:
        return None
    return Form(files, *_SPELLINGS[field][version - 1])


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
    return str(_clamp_shares(_whole(value)))


def _same_weight(wanted: int, read: int) -> bool:
    # `read` is the smallest number of shares with the weight that was read, so this way back to the weight is exact.
    return wanted == read or (read != IDLE_SHARES and shares_to_weight(read) in weights(wanted))


def _parse_weight(text: str, key: str) -> int:
    weight = _number(text)
    if weight == 0:
        return IDLE_SHARES
    if not 1 <= weight <= 10_000:
        raise ValueError(f"expected a weight 1..10000, got {weight}")
    # koordlet's way back (convert.weight_to_shares) rounds down, and the result has another weight.
    return MIN_SHARES + -((1 - weight) * 262_142 // 9999)


def _spell_weight(value: Any, key: str, current: str) -> str:
    return str(shares_to_weight(_clamp_shares(_whole(value))))


# Numbers


def _number(text: str) -> int:
    text = text.strip()
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 20):
        raise ValueError(f"expected a number, got {text[:40]!r}")
    return int(text)


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"expected a whole number, got {value!r}")
    return value


def _natural(value: Any, key: str = "", current: str = "") -> str:
    if _whole(value) < 0:
        raise ValueError(f"expected 0 or more, got {value}")
    return str(value)


def _parse_number(text: str, key: str) -> int:
    return _number(text)


def _v1_limit(value: Any, key: str, current: str) -> str:
    return str(value) if _whole(value) > 0 else "-1"


def _v2_limit(value: Any, key: str, current: str) -> str:
    return str(value) if _whole(value) > 0 else "max"


def _v2_protection(value: Any, key: str, current: str) -> str:
    return str(value) if _whole(value) >= 0 else "max"


def _equal(wanted: Any, read: Any) -> bool:
    return bool(wanted == read)


# CPU bandwidth: on v2 quota and period share the file, and both are always written, so that neither falls back


def _parse_quota(text: str, key: str) -> int:
    return max(_number(text), UNLIMITED)


def _max_parts(text: str) -> tuple[str, str]:
    quota, _, period = text.strip().partition(" ")
    return quota, period


def _parse_max_quota(text: str, key: str) -> int:
    quota, _ = _max_parts(text)
    return UNLIMITED if quota == "max" else _number(quota)


def _parse_max_period(text: str, key: str) -> int:
    return _number(_max_parts(text)[1])


def _spell_max_quota(value: Any, key: str, current: str) -> str:
    return f"{_v2_limit(value, key, '')} {_max_parts(current)[1]}".rstrip()


def _spell_max_period(value: Any, key: str, current: str) -> str:
    return f"{_max_parts(current)[0]} {_natural(value)}"


# Memory


def _parse_bytes(text: str, key: str) -> int:
    text = text.strip()
    value = UNLIMITED if text == "max" else _number(text)
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


# Disks


def _disk_line(text: str, key: str) -> str | None:
    prefix = key + " "
    return next((line[len(prefix) :].strip() for line in text.splitlines() if line.startswith(prefix)), None)


def _disk(key: str) -> str:
    major, _, minor = key.partition(":")
    if not (major.isascii() and major.isdecimal() and minor.isascii() and minor.isdecimal()):
        raise ValueError(f"expected a disk as major:minor, got {key!r}")
    return key


def _io_limits(text: str) -> dict[str, str]:
    """Keys that are given, in the kernel's order. Leaving one out leaves it alone."""
    given = {}
    for word in text.split():
        name, _, limit = word.partition("=")
        if name not in _IO_KEYS or not (limit == "max" or (limit.isascii() and limit.isdecimal() and int(limit) > 0)):
            raise ValueError(f"expected rbps, wbps, riops, wiops = max or a number above 0, got {word!r}")
        given[name] = "max" if limit == "max" or int(limit) >= _IO_KEYS[name] else limit
    return {name: given[name] for name in _IO_KEYS if name in given}


def _parse_io_max(text: str, key: str) -> str:
    return _disk_line(text, key) or NO_IO_LIMIT


def _spell_io_max(value: Any, key: str, current: str) -> str:
    limits = _io_limits(str(value))
    if not limits:
        raise ValueError(f"expected limits such as {NO_IO_LIMIT}, got {value!r}")
    return f"{_disk(key)} " + " ".join(f"{name}={limit}" for name, limit in limits.items())


def _same_io_max(wanted: str, read: str) -> bool:
    if wanted == read:
        return True
    has = _io_limits(read)
    return all(has.get(name, "max") == limit for name, limit in _io_limits(wanted).items())


def _parse_io_weight(text: str, key: str) -> int | str:
    found = _disk_line(text, key or DEFAULT)
    return DEFAULT if found is None else _number(found)


def _spell_io_weight(value: Any, key: str, current: str) -> str:
    weight = value if value == DEFAULT else _natural(value)
    if key in ("", DEFAULT):
        return f"{DEFAULT} {weight}"
    return f"{_disk(key)} {weight}"


def _signed(value: Any, key: str, current: str) -> str:
    return str(_whole(value))


def _v1_disk_number(neutral: int, none_from: int = _NO_BPS) -> tuple[Any, Any, Any]:
    """`8:0 1048576` by disk; a disk that is not listed has the neutral value, and is taken off the list by it."""

    def parse(text: str, key: str) -> int:
        found = _disk_line(text, key)
        return neutral if found is None else _number(found)

    def plain(value: Any) -> int:
        return neutral if _whole(value) >= none_from else value

    return (
        parse,
        lambda value, key, current: f"{_disk(key)} {_natural(plain(value))}",
        lambda wanted, read: plain(wanted) == plain(read),
    )


def _parse_latency(text: str, key: str) -> str:
    return _disk_line(text, key) or "target=0"


def _spell_latency(value: Any, key: str, current: str) -> str:
    name, _, target = str(value).partition("=")
    if name != "target" or not (target.isascii() and target.isdecimal()):
        raise ValueError(f"expected target= and a number of µs, got {value!r}")
    return f"{_disk(key)} {value}"


def _words(text: str) -> dict[str, str | float]:
    """`enable=1 rpct=95.00` → {"enable": 1.0, "rpct": 95.0}: the kernel shows numbers in its own way."""
    found: dict[str, str | float] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"expected name=value, got {word!r}")
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = value
    return found


def _cost_of(neutral: str) -> tuple[Any, Any, Any]:
    """A line of words by disk; what is not named stays as it is."""

    def settled(value: Any) -> str:
        """Under ctrl=auto the kernel shows parameters of its own choice; to write one of them would mean ctrl=user."""
        words = str(value).split()
        return " ".join(w for w in words if "ctrl=auto" not in words or w.startswith(("enable=", "ctrl=")))

    def spell(value: Any, key: str, current: str) -> str:
        text = settled(value)
        if not _words(text):
            raise ValueError(f"expected words such as {neutral}, got {value!r}")
        return f"{_disk(key)} {text}"

    return (
        lambda text, key: _disk_line(text, key) or neutral,
        spell,
        lambda wanted, read: _words(settled(wanted)).items() <= _words(read).items(),
    )


_PLAIN = (_parse_number, _natural, _equal)
_SIGNED = (_parse_number, _signed, _equal)
_DISK_BPS = _v1_disk_number(0)
_DISK_IOPS = _v1_disk_number(0, _NO_IOPS)
_COST_WEIGHT = _v1_disk_number(100)
_LATENCY = (_parse_latency, _spell_latency, _equal)
_COST_QOS = _cost_of("enable=0")
_COST_MODEL = _cost_of("ctrl=auto")
_QUOTA_V1 = (_parse_quota, _v1_limit, fields.CPU_QUOTA.same)
_QUOTA_V2 = (_parse_max_quota, _spell_max_quota, fields.CPU_QUOTA.same)
_PERIOD_V2 = (_parse_max_period, _spell_max_period, _equal)
_SHARES_V1 = (_parse_number, _spell_shares, _same_shares)
_SHARES_V2 = (_parse_weight, _spell_weight, _same_weight)
_CPUS = (_parse_cpus, _spell_cpus, fields.CPU_CPUS.same)
_LIMIT_V1 = (_parse_bytes, _v1_limit, _same_limit)
_LIMIT_V2 = (_parse_bytes, _v2_limit, _same_limit)
_PROTECTION = (_parse_bytes, _v2_protection, _same_bytes)
_IO_MAX = (_parse_io_max, _spell_io_max, _same_io_max)
_IO_WEIGHT = (_parse_io_weight, _spell_io_weight, _equal)

_SPELLINGS: dict[Field, tuple[Any, Any]] = {
    fields.CPU_CPUS: (_CPUS, _CPUS),
    fields.CPU_MEMS: (_CPUS, _CPUS),
    fields.CPU_QUOTA: (_QUOTA_V1, _QUOTA_V2),
    fields.CPU_PERIOD: (_PLAIN, _PERIOD_V2),
    fields.CPU_SHARES: (_SHARES_V1, _SHARES_V2),
    fields.CPU_BURST: (_PLAIN, _PLAIN),
    fields.CPU_IDLE: (_PLAIN, _PLAIN),
    fields.CPU_BVT: (_SIGNED, _SIGNED),
    fields.MEMORY_LIMIT: (_LIMIT_V1, _LIMIT_V2),
    fields.MEMORY_MIN: (_PROTECTION, _PROTECTION),
    fields.MEMORY_LOW: (_PROTECTION, _PROTECTION),
    fields.MEMORY_HIGH: (_LIMIT_V2, _LIMIT_V2),
    fields.MEMORY_OOM_GROUP: (_PLAIN, _PLAIN),
    fields.MEMORY_WMARK_RATIO: (_PLAIN, _PLAIN),
    fields.MEMORY_WMARK_SCALE: (_PLAIN, _PLAIN),
    fields.MEMORY_WMARK_MIN_ADJ: (_SIGNED, _SIGNED),
    fields.MEMORY_PRIORITY: (_PLAIN, _PLAIN),
    fields.MEMORY_PRIORITY_OOM: (_PLAIN, _PLAIN),
    fields.PAGE_CACHE_ENABLE: (_PLAIN, _PLAIN),
    fields.PAGE_CACHE_SIZE: (_PLAIN, _PLAIN),
    fields.PAGE_CACHE_SYNC: (_PLAIN, _PLAIN),
    fields.IO_MAX: (_IO_MAX, _IO_MAX),
    fields.IO_WEIGHT: (_IO_WEIGHT, _IO_WEIGHT),
    fields.IO_LATENCY: (_LATENCY, _LATENCY),
    fields.IO_READ_BPS: (_DISK_BPS, _DISK_BPS),
    fields.IO_WRITE_BPS: (_DISK_BPS, _DISK_BPS),
    fields.IO_READ_IOPS: (_DISK_IOPS, _DISK_IOPS),
    fields.IO_WRITE_IOPS: (_DISK_IOPS, _DISK_IOPS),
    fields.IO_COST_WEIGHT: (_COST_WEIGHT, _COST_WEIGHT),
    fields.IO_COST_QOS: (_COST_QOS, _COST_QOS),
    fields.IO_COST_MODEL: (_COST_MODEL, _COST_MODEL),
}
"""Field → (parse, spell, same) of v1, of v2"""


def file_names() -> frozenset[str]:
    """Names of all files that any field is spelled in, without controller and directory."""
    forms = [form(field, version) for field in _SPELLINGS for version in (1, 2)]
    return frozenset(name.rpartition("/")[2] for found in forms if found is not None for name in found.files)
