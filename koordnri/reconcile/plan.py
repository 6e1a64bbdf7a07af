"""What follows from a decision: which cgroup files are to have it, which go back, what the runtime is to be told of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from koordnri.host.cgroup.change import Change
from koordnri.model import CPUSet, NodeState, fields
from koordnri.model.convert import CFS_PERIOD_US
from koordnri.model.decision import Decision, Setting
from koordnri.model.difference import baseline_value, through_runtime
from koordnri.model.fields import Field, split_name
from koordnri.model.resources import Resources
from koordnri.model.routes import REPLY, WRITE
from koordnri.reconcile.owner import Owner


class Goal(NamedTuple):
    """A file that is to have a value, and what is to be remembered once it has."""

    owner: Owner
    name: str
    """of the field, in decisions"""
    change: Change
    restores: bool


class Update(NamedTuple):
    """What an update through the runtime must carry so that its stored spec of one container agrees with the decision."""

    container_id: str
    pod_id: str
    settings: tuple[Setting, ...]
    period_us: int = CFS_PERIOD_US
    """the container's own, which a quota must not be sent without"""

    @property
    def values(self) -> dict[str, int | str]:
        """Name of the field → value, as noted in the ledger."""
        return through_runtime(self.settings)

    def without(self, names: Collection[str]) -> Update | None:
        """The same but for these fields; None when nothing is left."""
        left = tuple(s for s in self.settings if s.field.named(s.key) not in names)
        return self._replace(settings=left) if left else None


def wanted(directory: str, decision: Decision, node: NodeState, force: bool = False) -> dict[str, Change]:
    """Name of the decided field → the file that is to have it. What can only be set at creation is no file.

    force   memory limits go below what is in use, too; what is taken back never does
    """
    return {
        name: Change(directory, s.field, _disk(s.field, s.key, node), s.value, force)
        for name, s in decision.settings.items()
        if s.route in (REPLY, WRITE)
    }


def back_to_baseline(
    directory: str, names: Iterable[str], decision: Decision, baseline: Resources, node: NodeState
) -> dict[str, Change]:
    """Those of `names`, set by us before, that are not decided any more: back to what kubelet asked for.

    A hook that failed has not said that it wants nothing; its fields stay.
    """
    back = {}
    for name in names:
        field, key = split_name(name)
        if name in decision.settings or field is None or field in decision.undecided:
            continue
        if field.keyed and key not in (node.block_devices or {}):
            continue  # a disk that is gone took its limits with it
        value = baseline_value(field, baseline, node)
        if value is not None:
            back[name] = Change(directory, field, _disk(field, key, node), value)
    return back


def back_to_before(directory: str, before: Mapping[str, Any], decision: Decision, node: NodeState) -> dict[str, Change]:
    """The same for a pod, of which only its files told what kubelet had set: `before` is what they held.

    An idle cgroup takes no shares: they go back once it is not idle any more.
    """
    back = {}
    idle = decision.value(fields.CPU_IDLE) == 1
    for name, value in before.items():
        if idle and name == fields.CPU_SHARES.name:
            continue
        field, key = split_name(name)
        if (
            name not in decision.settings
            and field is not None
            and field not in decision.undecided
            and value is not None
            and not (field.keyed and key not in (node.block_devices or {}))  # as above
        ):
            if field is fields.CPU_CPUS:
                value = _of_those_online(value, node)
            back[name] = Change(directory, field, _disk(field, key, node), value)
    return back


def in_sandbox(changes: Mapping[str, Change], directory: str | None) -> dict[str, Change]:
    """Changes of a pod, where cpu.cpus is that of its sandbox, the pause container's cgroup: the pod's own bounds all of its containers.

    directory   the sandbox's; None: it has none, as under CRI-O, which runs no pause container where it need not
    """
    placed = dict(changes)
    change = placed.pop(fields.CPU_CPUS.name, None)
    if change is not None and directory is not None:
        placed[fields.CPU_CPUS.name] = change._replace(directory=directory)
    return placed


def _of_those_online(cpus: Any, node: NodeState) -> Any:
    """A cpuset that was there before, as the kernel still takes it: not with CPUs that went offline since, or that pods may not use."""
    online = node.all_cpus
    if online is None:
        return cpus
    try:
        had = CPUSet.parse(cpus)
    except (TypeError, ValueError, AttributeError):
        return cpus  # none that any kernel showed; the writer says so
    return cpus if had <= online else str(had & online or online)


def _disk(field: Field, key: str, node: NodeState) -> str:
    return (node.block_devices or {}).get(key, key) if field.keyed else ""
