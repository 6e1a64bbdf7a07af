"""Containers whose CPUs came from dynamic resource allocation: the kubernetes-sigs CPU driver says so in their environment.

Whoever writes a pod also writes its environment, and CPUs named there leave everybody's share pools. So it is believed only of pods with
a resource claim. If the pod's spec is not known (no API server, or not seen yet), it is believed of every pod: CPUs that a driver did
give must not be taken away. If the spec turns out to have no claim, they return to the pools.
"""

from __future__ import annotations

from collections.abc import Iterable

from koordnri.model.cpuset import CPUSet
from koordnri.model.pod import PodSpec

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


def may_have_claims(spec: PodSpec | None) -> bool:
    """Whether a DRA driver can have given CPUs to a pod of this spec; the module explains it."""
    return spec is None or spec.resource_claims


def disbelief(container: str, cpus: CPUSet) -> str:
    """The message to a pod's owner when its environment names CPUs that nobody can have given to the container."""
    return (
        f"container {container} has no CPUs {str(cpus)[:60]} of its own, though its environment says so ({PREFIX}*): "
        "the pod has no resourceClaims by which a DRA driver could have given them"
    )
