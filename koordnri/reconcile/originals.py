"""What cgroup files of pods and classes held before koordnri wrote them (originals), and so what kubelet set there.

For a container kubelet's values are its baseline; for a pod and a class only the files show them. So the value of a file is stored in the
ledger before the first write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from koordnri.host.cgroup.change import Change
from koordnri.host.cgroup.spelling import Form, form
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Field, KubeQoS, NodeState, fields
from koordnri.model.class_cgroup import ClassCgroup
from koordnri.model.convert import MIN_SHARES
from koordnri.model.difference import whole_of
from koordnri.model.fields import split_name
from koordnri.model.resources import Resources
from koordnri.reconcile.owner import ClassOwner, KnownFiles, PodOwner
from koordnri.reconcile.plan import Goal
from koordnri.state.ledger import Ledger

_ON_POD = tuple(field for field in fields.ALL if field.on_pod)


class Originals:
    """Used by the reconcile thread.

    files   what we wrote, so that another value there is recognised as kubelet's
    """

    def __init__(self, ledger: Ledger, files: KnownFiles) -> None:
        self._ledger = ledger
        self._files = files

    def of(self, owner: PodOwner | ClassOwner, directory: str, writer: Writer, version: int) -> dict[str, Any]:
        """Originals of the files of a pod or class. A value that differs from what we wrote is kubelet's new one: a resize."""
        before = self._ledger.originals(owner.id)
        for name in before:
            field, key = split_name(name)
            ours = self._files.of(owner.id, name)
            spelled = None if field is None or key else form(field, version)
            if field is None or spelled is None or ours is None:
                continue
            if field.in_sandbox and owner.pod is not None:
                continue  # kubelet never changes a sandbox; v1 removes CPUs from it that go offline
            if field.is_void(lambda other: writer.read(directory, other).value):
                continue  # its present value is the kernel's
            found = writer.read(directory, field).value
            # If it could not be read the last time, compare with what we wrote.
            if found is None or spelled.same(ours.wanted if ours.found is None else ours.found, found):
                continue
            # Else kubelet set the same value again, which is no resize.
            if not _agree(spelled, before[name], found):
                before[name] = found
                self._ledger.rebase(owner.id, name, found)
            owner.missed(name, found)
        return before

    def note(self, goals: Iterable[Goal], writer: Writer, node: NodeState) -> bool:
        """Store the values of pods' files that are about to be written for the first time. Returns whether there were any."""
        noted = False
        for goal in goals:
            # A controller's value is in no stored spec: after a crash only its original shows that it must be given back.
            keeps = goal.owner.keeps_originals or goal.change.field.noted or goal.controlled
            if goal.restores or not keeps or goal.name in self._ledger.originals(goal.owner.id):
                continue
            field, before = goal.change.field, writer.read(*goal.change[:3]).value
            for voided in fields.VOIDABLE:
                if voided.void_while is field and before == field.neutral:
                    noted |= self._note_voided(voided, goal, writer)
            if field.noted and isinstance(before, str):  # processes differ: the oldest one's counts
                before = int(before.split()[0])
            if before == "" and field.whole:
                before = whole_of(field, node)  # v2 refuses to empty it again while processes run there
            if before is not None and not field.same(before, goal.change.value):
                self._ledger.intend(goal.owner.id, {goal.name: before})
                noted = True
        return noted

    def _note_voided(self, field: Field, goal: Goal, writer: Writer) -> bool:
        """Store the value of a field that the kernel is about to forget because of this goal."""
        value = writer.read(goal.change.directory, field).value
        if value is None or field.name in self._ledger.originals(goal.owner.id):
            return False
        self._ledger.intend(goal.owner.id, {field.name: value})
        return True

    def note_idle_class(self, cgroup: ClassCgroup, writer: Writer, node: NodeState) -> None:
        """An idle class keeps kubelet from starting, and only earlier versions of koordnri made a class idle. So that is given back, even
        if they left no original.
        """
        field = fields.CPU_IDLE
        if cgroup.qos is not KubeQoS.BESTEFFORT or not node.field_files[field]:
            return
        kubelets = {field.name: 0, fields.CPU_SHARES.name: MIN_SHARES}
        if kubelets.keys() - self._ledger.originals(cgroup.id) and writer.read(cgroup.directory, field).value == 1:
            self._ledger.intend(cgroup.id, kubelets)


def _agree(spelled: Form, noted: Any, found: Any) -> bool:
    """Whether an original (perhaps from another version of koordnri) equals a value that was read."""
    try:
        return noted is not None and spelled.same(noted, found)
    except (TypeError, ValueError):
        return False


def kubelets_files(directory: str, before: Mapping[str, Any], writer: Writer) -> list[Change]:
    """Files of a pod's cgroup that show kubelet's resources and have no value of ours."""
    found = [Change(directory, f, "", writer.read(directory, f).value) for f in _ON_POD if f.name not in before]
    return [change for change in found if change.value is not None]


def as_kubelet_set_it(reported: Resources, before: Mapping[str, Any], kubelets: Iterable[Change]) -> Resources:
    """A pod's resources, or a class's, as they are in its cgroup, or were before koordnri.

    NRI's resources of a pod are the sum of its containers' limits, even if one has none and kubelet set no limit at all.
    """
    known = {f.baseline: before[f.name] for f in _ON_POD if before.get(f.name) is not None}
    known |= {change.field.baseline: change.value for change in kubelets}
    return msgspec.structs.replace(reported, **known)
