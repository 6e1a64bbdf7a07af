"""Containers whose CPUs came by dynamic resource allocation: the CPU driver of kubernetes-sigs says so in their environment.

Whoever writes a pod writes that environment, too, and what it names leaves everybody's share pools. So it is believed only of pods
that have a resource claim. Where the pod's spec is not known, for there is no access to the API server or it has not told of the pod
yet, it is believed of every pod: what a driver did give must not be taken from it. What a spec that comes later shows to be untrue is
given back then.
"""

from __future__ import annotations

from collections.abc import Iterable

from koordnri.model.cpuset import CPUSet
from koordnri.model.pod import PodSpec

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


def may_have_claims(spec: PodSpec | None) -> bool:
    """Whether a pod of this spec may have been given CPUs by a driver; see the module."""
    return spec is None or spec.resource_claims


def disbelief(container: str, cpus: CPUSet) -> str:
    """What the pod's owner is told of a container whose environment names CPUs that nobody can have given to it."""
    return (
        f"container {container} has no CPUs {str(cpus)[:60]} of its own, though its environment says so ({PREFIX}*): "
        "the pod has no resourceClaims by which a DRA driver could have given them"
    )
