"""Containers whose CPUs came from dynamic resource allocation: the kubernetes-sigs CPU driver says so in their environment.

Whoever writes a pod also writes its environment: koordnri.policy.trust_claims says when it is believed.
"""

from __future__ import annotations

from collections.abc import Iterable

from koordnri.model.cpuset import CPUSet

PREFIX = "DRA_CPUSET_"
"""`DRA_CPUSET_<claim>=<list of CPUs>`"""
MOST_CHARACTERS = 16 * 1024
"""Longest list, and longest lists of one container together: more would be read for seconds while the runtime waits."""


def dra_cpus(env: Iterable[str]) -> CPUSet:
    """The CPUs of all claims of a container; empty without one. Values that are unreadable or too long are ignored."""
    cpus, left = CPUSet(), MOST_CHARACTERS
    for variable in env:
        if variable.startswith(PREFIX):
            left -= len(variable)
            if left < 0:
                break
            try:
                cpus |= CPUSet.parse(variable.partition("=")[2])
            except ValueError:
                continue
    return cpus
