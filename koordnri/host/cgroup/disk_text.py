"""Texts of cgroup files with a line per disk: `8:0 rbps=1048576 wbps=max riops=max wiops=max`. One function per kind of spelling.

A disk that the file does not list has the field's neutral value, and is taken off the list by it. The key is `major:minor`.
"""

from __future__ import annotations

from typing import Any

from koordnri.host.cgroup.text import Text, equal, parse_int, spell_natural, whole
from koordnri.model import Field

_DEFAULT = "default"
"""io.weight's key for the cgroup's own weight, and its value for a disk without one of its own"""
_NO_BPS, _NO_IOPS = 2**64 - 1, 2**32 - 1
"""From these on, a limit of a disk is none. v1 would cut a larger number of operations off at 32 bits: 2³² would be 0, and stop all."""
_IO_KEYS = {"rbps": _NO_BPS, "wbps": _NO_BPS, "riops": _NO_IOPS, "wiops": _NO_IOPS}


def limits(field: Field, version: int) -> Text:
    """io.max: rbps=, wbps=, riops=, wiops=, of which those that are left out stay as they are."""

    def spell(value: Any, key: str, current: str) -> str:
        given = _io_limits(str(value))
        if not given:
            raise ValueError(f"expected limits such as {field.neutral}, got {value!r}")
        return f"{_disk(key)} " + " ".join(f"{name}={limit}" for name, limit in given.items())

    return Text(lambda text, key: _disk_line(text, key) or field.neutral, spell, _same_io_max)


def weight(field: Field, version: int) -> Text:
    """io.weight: a number or `default`; without a key that of the cgroup."""
    return Text(_parse_io_weight, _spell_io_weight, equal)


def latency(field: Field, version: int) -> Text:
    """io.latency: target= in µs."""
    return Text(lambda text, key: _disk_line(text, key) or field.neutral, _spell_latency, equal)


def number(field: Field, version: int) -> Text:
    """`8:0 1048576`, of up to 64 bits."""
    return _number_below(_NO_BPS, field)


def operations(field: Field, version: int) -> Text:
    """`8:0 120`, of up to 32 bits."""
    return _number_below(_NO_IOPS, field)


def words(field: Field, version: int) -> Text:
    """Words name=value; what is not named stays as it is."""

    def settled(value: Any) -> str:
        """Under ctrl=auto the kernel shows parameters of its own choice; to write one of them would mean ctrl=user."""
        words = str(value).split()
        return " ".join(w for w in words if "ctrl=auto" not in words or w.startswith(("enable=", "ctrl=")))

    def spell(value: Any, key: str, current: str) -> str:
        text = settled(value)
        if not _words(text):
            raise ValueError(f"expected words such as {field.neutral}, got {value!r}")
        return f"{_disk(key)} {text}"

    return Text(
        lambda text, key: _disk_line(text, key) or field.neutral,
        spell,
        lambda wanted, read: _words(settled(wanted)).items() <= _words(read).items(),
    )


def _number_below(none_from: int, field: Field) -> Text:
    neutral: int = field.neutral

    def parse(text: str, key: str) -> int:
        found = _disk_line(text, key)
        return neutral if found is None else parse_int(found)

    def plain(value: Any) -> int:
        return neutral if whole(value) >= none_from else value

    return Text(
        parse,
        lambda value, key, current: f"{_disk(key)} {spell_natural(plain(value))}",
        lambda wanted, read: plain(wanted) == plain(read),
    )


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


def _same_io_max(wanted: str, read: str) -> bool:
    if wanted == read:
        return True
    has = _io_limits(read)
    return all(has.get(name, "max") == limit for name, limit in _io_limits(wanted).items())


def _parse_io_weight(text: str, key: str) -> int | str:
    found = _disk_line(text, key or _DEFAULT)
    return _DEFAULT if found is None else parse_int(found)


def _spell_io_weight(value: Any, key: str, current: str) -> str:
    weight = value if value == _DEFAULT else spell_natural(value)
    if key in ("", _DEFAULT):
        return f"{_DEFAULT} {weight}"
    return f"{_disk(key)} {weight}"


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
