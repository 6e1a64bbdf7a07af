"""Why a value changed: from what differs between two snapshots, and from what made the reconciler write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import reduce
from typing import Any, NamedTuple

from koordnri.chain import Snapshot
from koordnri.model import CPUSet, Decision, NodeState, Pod
from koordnri.model.control import NO_CONTROL
from koordnri.model.node import Pool

MOST_NAMED = 3
"""neighbours that a cause names; the others are counted"""
UNKNOWN_WRITER = "unknown"
"""In `Written.drift`: the value is nobody's that is known."""
_NONE: Mapping[str, CPUSet] = {}


class Cause(StrEnum):
    """What a change follows from. The text is for people; the history's `detail` says more."""

    CREATION = "creation"
    """the container was created, or its pod with it"""
    RESIZE = "resize"
    """kubelet asked for other resources"""
    START = "start"
    """koordnri or the runtime started, and found another value"""
    POLICY = "policy"
    """another policy, or other node strategies of it"""
    PROMOTION = "promotion"
    """a running container got exclusive CPUs"""
    NEIGHBOUR = "neighbour"
    """another container got exclusive CPUs, or gave them up"""
    NODE = "node"
    """the node changed: its CPUs, annotations, labels, devices"""
    POD = "pod"
    """the pod changed: its annotations, what kubelet asks for it, its exclusive CPUs; of a class: one of its pods"""
    CONTROLLER = "controller"
    """a feedback controller wanted the value, or wants it no longer"""
    DRIFT = "drift"
    """somebody else had written the file; the value was written again"""
    CHECK = "check"
    """a check found another value in the file, that no earlier write had reached"""
    RELEASE = "release"
    """`koordnri release` gave it back to kubelet"""
    REFUSED = "refused"
    """the file did not take the value, even after retries: it is not in effect"""


class FieldPlace(NamedTuple):
    """A field of a container, of a pod's own cgroup, or of a cgroup above the pods."""

    pod: Pod | None
    """None: a cgroup above the pods"""
    kube_class: str
    """name of that cgroup, else "" """
    container: str
    """"" for a pod's own cgroup"""
    name: str
    """the field's, with its key"""


class Written(NamedTuple):
    """One file that a pass wrote, and that reads back as wanted."""

    owner_id: str
    """of the container, pod or class, as in the ledger"""
    place: FieldPlace
    before: Any
    after: Any
    restores: bool
    """whether the value is given back"""
    drift: str = ""
    """whose value it had been overwritten with; "" if it was no drift"""
    times: int = 0
    """how often in a row they had; 0: unknown"""


class PassDone(NamedTuple):
    """What one pass of the reconciler wrote."""

    trigger: str
    """change, control, pod, drift, sweep or asked"""
    was: Snapshot | None
    """of the last full pass; None before the first"""
    now: Snapshot
    written: Sequence[Written]
    decisions: Mapping[tuple[str, str], Decision]
    """(id of the pod, or name of the class; name of the container, or "") → its decision"""
    groups: Sequence[tuple[str, Pod, str, str]] = ()
    """id of a container, its pod, its name, the resctrl group in which its threads belong, "" for none of koordnri's"""


class SnapshotDifference:
    """What differs between two snapshots, as causes. Made once per pass, or for a new pod.

    was       None: before the first full pass
    name_of   key of a pod → its name for people
    """

    def __init__(self, was: Snapshot | None, now: Snapshot, name_of: Callable[[str], str]) -> None:
        self._was = was
        self._now = now
        self._policy = "" if was is None else _policies(was, now)
        self._neighbours = "" if was is None else _neighbours(was.node, now.node, name_of)
        self._node = was is not None and was.node is not now.node and _others(was.node) != _others(now.node)

    def cause(self, one: Written, trigger: str, *, first: bool) -> tuple[Cause, str]:
        """(cause, detail) of one written file. `first`: whether the field's container was created under `was`, and
        the field has had no value since then.
        """
        if one.drift:
            # Only the value shows whose it is; the kernel does not report who wrote it.
            by = (
                f"overwritten with the value of {one.drift}"
                if one.drift != UNKNOWN_WRITER
                else "overwritten by unknown"
            )
            return Cause.DRIFT, by + (f", {one.times} times in a row" if one.times > 1 else "")
        if one.restores and _includes(self._now.node.released, one.place.pod):
            return Cause.RELEASE, ""
        if self._was is None:
            return Cause.START, ""
        if (cause := self._between(self._was, one)) is not None:
            return cause
        return (Cause.CREATION, "") if first else _by_trigger(one, trigger)

    def _between(self, was: Snapshot, one: Written) -> tuple[Cause, str] | None:
        if self._policy:
            return Cause.POLICY, self._policy
        if one.place.pod is not None and (exclusive := _exclusive(one, was.node, self._now.node)) is not None:
            had, has = exclusive
            gained = bool(has) and not had
            return Cause.PROMOTION if gained else Cause.POD, f"exclusive CPUs {had or 'none'} → {has or 'none'}"
        if self._neighbours:
            return Cause.NEIGHBOUR, self._neighbours
        return (Cause.NODE, "") if self._node else None


def _by_trigger(one: Written, trigger: str) -> tuple[Cause, str]:
    if trigger == "asked":
        return Cause.RELEASE, ""
    if trigger in ("sweep", "drift"):
        return Cause.CHECK, ""
    return Cause.POD, "" if one.place.pod is not None else "pods came, went or changed"


def _includes(released: frozenset[str], pod: Pod | None) -> bool:
    return "*" in released or (pod is not None and pod.id in released)


def _policies(was: Snapshot, now: Snapshot) -> str:
    before, after = was.policy, now.policy
    if before is after:
        return ""
    if before.revision != after.revision:
        return f"{before.revision} → {after.revision}"
    return "other node strategies" if before.strategies != after.strategies else ""


def _exclusive(one: Written, was: NodeState, now: NodeState) -> tuple[CPUSet, CPUSet] | None:
    """The exclusive CPUs before and after, if they differ: of the container, or of all of the pod's."""
    key = "" if one.place.pod is None else one.place.pod.key
    before, after = was.exclusive_cpus.get(key, _NONE), now.exclusive_cpus.get(key, _NONE)
    if one.place.container:
        had, has = before.get(one.place.container, CPUSet()), after.get(one.place.container, CPUSet())
    else:
        had, has = _union(before), _union(after)
    return None if had == has else (had, has)


def _neighbours(was: NodeState, now: NodeState, name_of: Callable[[str], str]) -> str:
    """Which pods' exclusive CPUs differ, or how the share pools do; "" if neither."""
    before, after = was.exclusive_cpus, now.exclusive_cpus
    differ = []
    if before is not after:
        for key in dict.fromkeys((*before, *after)):
            had, has = _union(before.get(key, _NONE)), _union(after.get(key, _NONE))
            if had != has:
                differ.append(f"{name_of(key)}: exclusive CPUs {had or 'none'} → {has or 'none'}")
    if differ:
        more = len(differ) - MOST_NAMED
        return "; ".join(differ[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
    if (was.ls_pools, was.be_pools) == (now.ls_pools, now.be_pools):
        return ""
    return f"share pool {_pool(was.ls_pools)} → {_pool(now.ls_pools)}"


def _union(of_pod: Mapping[str, CPUSet]) -> CPUSet:
    return reduce(CPUSet.__or__, of_pod.values(), CPUSet())


def _pool(pools: Sequence[Pool]) -> str:
    return " ".join(pool.cpus for pool in pools) or "all CPUs"


def _others(node: NodeState) -> NodeState:
    """The node without those parts that are causes by themselves: exclusive CPUs, share pools, released pods."""
    return replace(
        node,
        exclusive_cpus={},
        no_exclusive_cpus={},
        ls_pools=(),
        be_pools=(),
        released=frozenset(),
        control=NO_CONTROL,
        problems=(),
    )
