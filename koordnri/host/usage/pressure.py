"""Pressure stall information of a cgroup. Source: the kernel's Documentation/accounting/psi.rst."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.host.usage.files import UsageFiles


class Pressure(NamedTuple):
    """Percent of the last 10 s in which at least one task waited for the resource (`some avg10`); None where the kernel has no PSI."""

    cpu: float | None
    memory: float | None
    io: float | None


def read_pressure(files: UsageFiles, directory: str) -> Pressure:
    """The cgroup's pressure now. On v1 only some vendors' kernels have it, among the files of cpuacct."""
    return Pressure(*(_read(files, directory, f"{name}.pressure") for name in Pressure._fields))


def read_waited_us(files: UsageFiles, directory: str) -> int | None:
    """µs in which at least one of the cgroup's threads was ready to run and had no CPU (`some total`); None where the kernel has no PSI."""
    value = _figure(files, directory, "cpu.pressure", "total")
    return int(value) if value is not None and value.isdecimal() else None


def _read(files: UsageFiles, directory: str, name: str) -> float | None:
    value = _figure(files, directory, name, "avg10")
    return None if value is None else _number(value)


def _figure(files: UsageFiles, directory: str, name: str, wanted: str) -> str | None:
    for line in (files.text("cpuacct", directory, name) or "").splitlines():
        words = line.split()
        if words and words[0] == "some":
            for word in words[1:]:
                key, _, value = word.partition("=")
                if key == wanted:
                    return value
    return None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
