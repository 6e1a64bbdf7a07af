"""What follows from decisions: cgroup files that get a value, files that are given back, updates for the runtime."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from koordnri.host.cgroup.change import Change
from koordnri.model import CPUSet, NodeState
from koordnri.model.convert import CFS_PERIOD_US
from koordnri.model.decision import Decision, Setting
from koordnri.model.difference import baseline_value, through_runtime, whole_of
from koordnri.model.fields import Field, split_name
from koordnri.model.resources import Resources
from koordnri.model.routes import CONTROL, REPLY, WRITE
from koordnri.reconcile.owner import Owner

_NONE: Mapping[str, Any] = MappingProxyType({})


class Goal(NamedTuple):
    """A file that should have a value, and what to store once it has."""

    owner: Owner
    name: str
    """the field's name in decisions"""
    change: Change
    restores: bool
    controlled: bool = False
    """whether the value is a controller's: it moves often, is in no stored spec, and is given back when the controller ends"""


class Update(NamedTuple):
    """The settings that an update must carry so that the runtime's stored spec of one container agrees with the decision."""

    container_id: str
    pod_id: str
    settings: tuple[Setting, ...]
    period_us: int = CFS_PERIOD_US
    """the container's own, since a quota must be sent with it"""

    @property
    def values(self) -> dict[str, int | str]:
        """Field name → value, as in the ledger."""
        return through_runtime(self.settings)

    def without(self, names: Collection[str]) -> Update | None:
        """The update without these fields; None when nothing is left."""
        left = tuple(s for s in self.settings if s.field.named(s.key) not in names)
        return self._replace(settings=left) if left else None


class PodPlan(NamedTuple):
    """What one pass will do for a pod and its containers."""

    goals: list[Goal]
    updates: dict[str, Update]
    """container → values to be recorded"""
    decisions: list[tuple[str, Decision]]
    """(name of the container, or "" for the pod itself; its decision)"""
    groups: dict[str, str]
    """cgroup of a container → resctrl group for its threads, "": none of ours"""
    kubelets: Sequence[Change] = ()
    """kubelet's files in the pod's cgroup, with their values at the decision"""
    gone: bool = False
    """whether its cgroup existed and vanished: the runtime did not report its end (containerd issue 8426)"""
    holds: Sequence[Goal] = ()
    """all decided values of these cgroups, including those that are right and need no goal"""
    containers: Sequence[tuple[str, bool]] = ()
    """containers that were decided, and whether each had been started"""
    whole: bool = True
    """False if files of the pod itself are left until one of its containers has been made"""


def wanted(directory: str, decision: Decision, node: NodeState, force: bool = False) -> dict[str, Change]:
    """Name of the decided field → the file that should have it. Fields that only a creation can set have no file.

    force   let memory limits go below the memory in use; a value that is given back never does
    """
    return {
        name: Change(directory, s.field, _disk(s.field, s.key, node), s.value, force)
        for name, s in decision.in_files.items()
        if s.route in (REPLY, WRITE, CONTROL)
    }


def back_to_baseline(
    directory: str,
    names: Iterable[str],
    decision: Decision,
    baseline: Resources,
    node: NodeState,
    originals: Mapping[str, Any] = _NONE,
) -> dict[str, Change]:
    """The fields among `names` that we set before and that are not decided any more: back to what kubelet asked for.

    originals   field name → original, of fields with the column `noted`

    A failed hook did not say that it wants nothing: its fields stay.
    """
    back = {}
    for name in names:
        field, key = split_name(name)
        if decision.decides(name) or field is None or field in decision.undecided:
            continue
        if field.of_disk and key not in (node.block_devices or {}):
            continue  # a disk that vanished took its limits with it
        value = originals.get(name) if field.noted else baseline_value(field, baseline, node)
        if value is not None:
            back[name] = Change(directory, field, _disk(field, key, node), value)
    return back


def back_to_before(directory: str, before: Mapping[str, Any], decision: Decision, node: NodeState) -> dict[str, Change]:
    """The same for a pod, for which only files show what kubelet had set. `before`: their former values.

    A field that another one voids is given back later, once it is not void any more.
    """
    back = {}
    for name, value in before.items():
        field, key = split_name(name)
        if (
            not decision.decides(name)
            and field is not None
            and field not in decision.undecided
            and not field.is_void(decision.value)
            and value is not None
            and not (field.of_disk and key not in (node.block_devices or {}))  # as above
        ):
            if field.whole:
                value = _within_whole(value, whole_of(field, node))
            back[name] = Change(directory, field, _disk(field, key, node), value)
    return back


def in_sandbox(changes: Mapping[str, Change], directory: str | None) -> dict[str, Change]:
    """Changes of a pod, with the fields of the column `in_sandbox` moved to the pause container's cgroup.

    directory   the sandbox's; None: there is none (CRI-O runs no pause container if it can avoid it), and these changes are dropped
    """
    return {
        name: change._replace(directory=directory) if change.field.in_sandbox and directory is not None else change
        for name, change in changes.items()
        if not change.field.in_sandbox or directory is not None
    }


def _within_whole(cpus: Any, whole: str) -> Any:
    """A former cpuset in a form that the kernel accepts now: without CPUs that went offline or that pods may not use."""
    if not whole:
        return cpus
    present = CPUSet.parse(whole)
    try:
        had = CPUSet.parse(cpus)
    except (TypeError, ValueError, AttributeError):
        return cpus  # no value that a kernel shows; the writer reports it
    return cpus if had <= present else str(had & present or present)


def _disk(field: Field, key: str, node: NodeState) -> str:
    return (node.block_devices or {}).get(key, key) if field.of_disk else key
