"""Resctrl groups: which one a container belongs to, its name, and what the pod's annotation asks of it.

Only this module chooses. The rdt hook sets what it chooses, and the reconciler makes the same groups. Source: koordinator.md 6.
"""

from __future__ import annotations

from typing import NamedTuple

from koordnri.model.annotations import RESCTRL_KEY
from koordnri.model.decision import NEW
from koordnri.model.errors import AnnotationError
from koordnri.model.node import Resctrl
from koordnri.model.pod import Pod
from koordnri.model.qos import QoSClass
from koordnri.model.resctrl_spec import RESCTRL
from koordnri.model.schemata import Cache, GroupWish, Range
from koordnri.policy import Policy

HOOK = "rdt"
CLASS_GROUPS = ("LSR", "LS", "BE")
POD_PREFIX = "koordlet-"
"""koordlet's prefix, so that a node that changes to koordnri keeps its groups."""
NO_RESCTRL = "the node has no resctrl"
_MOST_CHARACTERS = 200
_GROUP = {QoSClass.LSE: "LSR", QoSClass.LSR: "LSR", QoSClass.LS: "LS", QoSClass.BE: "BE"}
_DISABLED = {group: f"resource-qos-config.{group.lower()}Class.resctrlQOS is not enabled" for group in CLASS_GROUPS}


class Choice(NamedTuple):
    """The group of a pod's containers; "": the root group, which has all threads that nobody moved."""

    group: str
    reason: str


def choose(pod: Pod, policy: Policy, resctrl: Resctrl | None) -> Choice:
    """The group of a pod's containers, and why. Raises AnnotationError.

    If the pod's own group could not be made, its containers stay in the group of their class.
    """
    if RESCTRL_KEY not in pod.annotations:
        return choose_class(pod, policy, resctrl)
    RESCTRL.of(pod)
    if resctrl is None:
        return Choice("", NO_RESCTRL)
    pod_wish(pod, resctrl)
    group = pod_group(pod)
    problem = resctrl.why_not(group) if group else f"uid {pod.uid[:60]!r} cannot name a directory"
    if not problem:
        return Choice(group, "resctrl group of the pod")
    return choose_class(pod, policy, resctrl, f"no resctrl group of the pod's own: {problem}; ")


def choose_class(pod: Pod, policy: Policy, resctrl: Resctrl | None, why: str = "") -> Choice:
    """The group of the pod's class. `why` comes first in the reason, for a pod that should have its own group."""
    return choose_of(pod.qos_or_default, policy, resctrl, why)


def choose_of(qos: QoSClass, policy: Policy, resctrl: Resctrl | None, why: str = "") -> Choice:
    """The group of a class, of pods and of applications outside of pods."""
    group = _GROUP.get(qos, "")
    if not group:
        return Choice("", f"{why}SYSTEM stays in the root group")
    wanted = policy.qos.of(qos)
    if wanted is None or not wanted.resctrl.enable:
        return Choice("", why + _DISABLED[group])
    if resctrl is None:
        return Choice("", NO_RESCTRL)
    if problem := resctrl.why_not(group):
        return Choice("", f"{why}resctrl group {group} could not be made: {problem}")
    return NEW(Choice, (group, f"{why}resctrl group of the class"))


def has_own_group(pod: Pod, resctrl: Resctrl | None) -> bool:
    """Whether the pod's own group exists."""
    return resctrl is not None and pod_group(pod) in resctrl.groups


def pod_wish(pod: Pod, resctrl: Resctrl) -> GroupWish | None:
    """What the pod's annotation asks for; None without one. Raises AnnotationError, also for a cache that the node lacks."""
    spec = RESCTRL.of(pod)
    if spec is None:
        return None
    wish = spec.wish
    for part, ids, at in (
        ("llc", _ids(resctrl, "L3") or _ids(resctrl, "L2"), wish.llc_at),
        ("l2", _ids(resctrl, "L2"), wish.l2_at),
        ("mb", () if resctrl.bandwidth is None else resctrl.bandwidth.ids, wish.mb_at),
    ):
        unknown = [] if not ids else [(i, cache_id) for i, cache_id in enumerate(at) if cache_id not in ids]
        for i, cache_id in unknown:
            where = f"$.{part}.schemataPerCache[{i}].cacheID"
            known = ", ".join(map(str, ids))
            raise AnnotationError(RESCTRL_KEY, f"expected a cache of the node ({known}) at {where}, got {cache_id}")
    return wish


def class_wish(group: str, policy: Policy) -> GroupWish | None:
    """What a class's group should have; None when the class is not enabled."""
    class_qos = policy.qos.of(group)
    if class_qos is None or not class_qos.resctrl.enable:
        return None
    asked = class_qos.resctrl
    return GroupWish(
        llc=_unless_all(asked.cat_range_start_percent, asked.cat_range_end_percent),
        l2=_unless_all(asked.l2_range_start_percent, asked.l2_range_end_percent),
        mb=asked.mba_percent if 0 < asked.mba_percent < 100 else None,
    )


def _unless_all(start: int, end: int) -> Range | None:
    return None if (start, end) == (0, 100) else (start, end)


def class_of(pod: Pod) -> str:
    """The class group to which a pod's use is added; "" for SYSTEM."""
    return _GROUP.get(pod.qos_or_default, "")


def pod_group(pod: Pod) -> str:
    """Name of the pod's own group; "" when its uid cannot be a directory's name."""
    uid = pod.uid
    sound = uid.isascii() and uid.replace("-", "").isalnum() and len(uid) <= _MOST_CHARACTERS
    return POD_PREFIX + uid if sound else ""


def is_ours(group: str) -> bool:
    """Whether koordnri makes groups of this name. Other groups are never changed."""
    return group in CLASS_GROUPS or group.startswith(POD_PREFIX)


def caches_of(resctrl: Resctrl) -> tuple[Cache, ...]:
    """Caches that are divided by ways; on a described node its L3."""
    if resctrl.caches or not resctrl.cbm_mask:
        return resctrl.caches
    return (Cache("L3", resctrl.cbm_mask, resctrl.cache_ids),)


def _ids(resctrl: Resctrl, level: str) -> tuple[int, ...]:
    return next((cache.ids for cache in caches_of(resctrl) if cache.level == level), ())


def left_alone(pod: Pod, policy: Policy, released: frozenset[str]) -> bool:
    """Whether the policy or a release excludes this pod, as in the chain."""
    return pod.namespace in policy.namespaces_left_alone or "*" in released or pod.id in released
