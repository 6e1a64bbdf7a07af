"""Which exclusive CPUs the limits of the policy would not have given, where its trust rules only observe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from koordnri.cpus.holding import Holding, Holdings
from koordnri.model.verdict import Verdict
from koordnri.policy.trust import EXCLUSIVE_CPUS_RULE
from koordnri.policy.trust_options import ExclusiveTrust


def over_limits(held: Holdings, namespaces: Mapping[str, str], limits: ExclusiveTrust) -> Mapping[str, Verdict]:
    """Key of a pod → the verdict on its containers that would share CPUs if the limits were enforced. Whoever was first counts first; what
    would not have been given does not count.

    namespaces   key of a pod → its namespace
    """
    if limits.max_exclusive is None and limits.max_per_namespace is None:
        return {}
    over, counts = dict[str, Verdict](), Counter[str | None]()
    for key, name, holding in _each(held):
        namespace, cpus = namespaces.get(key, ""), len(holding.all)
        if limits.max_exclusive is not None and counts[None] + cpus > limits.max_exclusive:
            limit = f"the node may have {limits.max_exclusive} (trust.{EXCLUSIVE_CPUS_RULE}.maxExclusive)"
        elif limits.max_per_namespace is not None and counts[namespace] + cpus > limits.max_per_namespace:
            most = f"{limits.max_per_namespace} (trust.{EXCLUSIVE_CPUS_RULE}.maxPerNamespace)"
            limit = f"namespace {namespace} may have {most} on this node"
        else:
            counts[None] += cpus
            counts[namespace] += cpus
            continue
        why = f"container {name} has {cpus}, with which they are too many: {limit}"
        over[key] = Verdict(EXCLUSIVE_CPUS_RULE, "exclusive CPUs", "observed", why)
    return over


def _each(held: Holdings) -> Iterator[tuple[str, str, Holding]]:
    for key, of_pod in held.items():
        for name, holding in of_pod.items():
            if not holding.spent:
                yield key, name, holding
