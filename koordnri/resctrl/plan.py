"""The resctrl groups that should exist, with their schemata: from pods, policy and node. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from koordnri.model import NodeState, Pod
from koordnri.model.errors import AnnotationError
from koordnri.model.node import Resctrl
from koordnri.model.resctrl_spec import RESCTRL
from koordnri.model.schemata import GroupWish, Schemata, schemata
from koordnri.policy import Policy
from koordnri.resctrl.choice import (
    CLASS_GROUPS,
    HOOK,
    caches_of,
    class_of,
    class_wish,
    left_alone,
    pod_group,
    pod_wish,
)


class WantedGroup(NamedTuple):
    """One group that should exist."""

    schemata: Schemata
    qos: str
    """the class group to which its use is added; "" for none"""
    pod: Pod | None
    """its owner; None for a class"""


class Plan(NamedTuple):
    """All groups of koordnri that should exist."""

    on: bool
    """False: none of our groups may stay"""
    groups: dict[str, WantedGroup]
    """in the order in which they are made: if there are not enough classes of service, the last ones are not made"""
    kept: frozenset[str]
    """groups of pods whose annotation cannot be used: neither made nor removed"""
    pods: frozenset[str]
    """names of the groups that the node's pods could have: others belong to pods that are gone"""


def plan(pods: Iterable[Pod], policy: Policy, node: NodeState) -> Plan:
    """The groups of the enabled classes, then those of pods with an annotation. `pods`: all of the node."""
    resctrl, released = node.resctrl, node.released
    if resctrl is None or policy.hook_mode(HOOK) != "enforce" or "*" in released:
        return Plan(False, {}, frozenset(), frozenset())
    groups: dict[str, WantedGroup] = {}
    for group in CLASS_GROUPS:
        wish = class_wish(group, policy)
        if wish is not None:
            groups[group] = WantedGroup(_schemata(wish, resctrl, policy), group, None)
    kept, named = set(), set()
    for pod in pods:
        group = pod_group(pod)
        if not group:
            continue
        named.add(group)
        if RESCTRL.key not in pod.annotations or left_alone(pod, policy, released):
            continue
        try:
            wish = pod_wish(pod, resctrl)
        except AnnotationError:  # reported by the hook for each container
            kept.add(group)
            continue
        if wish is not None:
            groups[group] = WantedGroup(_schemata(wish, resctrl, policy), class_of(pod), pod)
    return Plan(True, groups, frozenset(kept), frozenset(named))


def _schemata(wish: GroupWish, resctrl: Resctrl, policy: Policy) -> Schemata:
    return schemata(wish, caches_of(resctrl), resctrl.bandwidth, policy.rdt.memory_bandwidth_mbps)
