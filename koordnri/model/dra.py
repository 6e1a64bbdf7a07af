"""Containers whose CPUs came by dynamic resource allocation: the CPU driver of kubernetes-sigs says so in their environment."""

from __future__ import annotations

from collections.abc import Iterable

from koordnri.model.cpuset import CPUSet

PREFIX = "DRA_CPUSET_"
"""`DRA_CPUSET_<claim>=<list of CPUs>`"""


def dra_cpus(env: Iterable[str]) -> CPUSet:
    """The CPUs of all claims of a container; empty without one. What cannot be read counts for nothing."""
    cpus = CPUSet()
    for variable in env:
        if variable.startswith(PREFIX):
            try:
                cpus |= CPUSet.parse(variable.partition("=")[2])
            except ValueError:
                continue
    return cpus
