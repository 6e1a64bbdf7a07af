"""Owners of cgroup files: a container, a pod, or a cgroup outside of pods. Everything that differs between the three is here.

A container's files are known from its entry in the ledger; those of pods and classes from KnownFiles.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol

from koordnri.host.cgroup.change import Change
from koordnri.host.cgroup.spelling import Form
from koordnri.model import Field, NodeState, Pod
from koordnri.model.class_cgroup import HostCgroup, OuterCgroup
from koordnri.model.difference import baseline_value
from koordnri.model.routes import REPLY, WRITE
from koordnri.state.causes import UNKNOWN_WRITER, FieldPlace
from koordnri.state.entry import Entry
from koordnri.state.ledger import Ledger

SYSTEMD, KUBELET, RUNTIME, UNKNOWN = "systemd", "kubelet", "runtime", UNKNOWN_WRITER


class Owner(Protocol):
    """One container, pod or class. A field is named as in decisions."""

    @property
    def id(self) -> str:
        """Its key in the ledger."""

    @property
    def unit(self) -> str:
        """Id of the pod or class: a fault costs only this, and this is checked again."""

    @property
    def pod(self) -> Pod | None:
        """The pod itself, or the container's; None outside of pods."""

    @property
    def container(self) -> str:
        """The container's name, or ""."""

    @property
    def keeps_originals(self) -> bool:
        """Whether a file's value must be stored before the first write, because nothing else shows what kubelet set."""

    @property
    def names(self) -> dict[str, str]:
        """Names for the rows of a comparison."""

    @property
    def title(self) -> str:
        """Name for the log."""

    def is_right(self, name: str, change: Change) -> bool:
        """Whether the file had its decided value when it was last read."""

    def had(self, name: str, change: Change) -> bool:
        """Whether the file had this value before, as far as is known: it was read, or sent through the runtime."""

    def was_read(self, name: str, change: Change) -> bool:
        """Whether this is the last value of ours that was read. Then a different one is somebody else's, whatever a pass is for."""

    def verified(self, name: str, change: Change, found: Any, *, restores: bool) -> None:
        """The file has its value, and reads as `found`."""

    def missed(self, name: str, found: Any) -> None:
        """The file does not have its value. `found`: how it reads, None when it cannot be read."""

    def drifted(self, name: str, field: Field) -> bool:
        """The file had lost its value and has it again. Returns whether the value must be recorded again."""

    def who_writes(
        self, name: str, field: Field, spelled: Form | None, found: Any, originals: Mapping[str, Any], node: NodeState
    ) -> str:
        """Who would write `found` into the file: `systemd`, `kubelet`, `runtime` or `unknown`.

        originals   field name → what its file held before we first wrote it
        """


def place_of(owner: Owner, name: str) -> FieldPlace:
    """One of its fields, for the history."""
    kube_class = "" if owner.pod is not None else owner.names["kube_class"]
    return FieldPlace(owner.pod, kube_class, owner.container, name)


def names_of_pod(pod: Pod) -> dict[str, str]:
    """Namespace, pod and class in the rows of a comparison, for a pod."""
    return {"namespace": pod.namespace, "pod": pod.name, "kube_class": ""}


def names_of_class(cgroup: OuterCgroup) -> dict[str, str]:
    """The same for a cgroup outside of pods."""
    return {"namespace": "", "pod": "", "kube_class": cgroup.name}


class ContainerOwner:
    """A container of a pod. See Owner."""

    __slots__ = ("_entry", "_ledger", "container", "id", "pod", "unit")
    keeps_originals = False

    def __init__(self, pod: Pod, entry: Entry, ledger: Ledger) -> None:
        self.id = entry.id
        self.unit = pod.id
        self.pod = pod
        self.container = entry.name
        self._entry = entry
        self._ledger = ledger

    @property
    def names(self) -> dict[str, str]:
        return names_of_pod(self.pod)

    @property
    def title(self) -> str:
        return self.container

    def is_right(self, name: str, change: Change) -> bool:
        files = self._entry.files
        return name in files and change.field.same(files[name], change.value)

    def had(self, name: str, change: Change) -> bool:
        entry, same = self._entry, change.field.same
        if not entry.started:
            return False  # its cgroup is being made, and has had no value yet
        if name in entry.files or name in entry.unread:
            return self.was_read(name, change)
        sent = entry.sent.get(name)
        # An update in a reply is applied after the reply: until its file was read, the value is late, not lost.
        return sent is not None and sent[1] not in (WRITE, REPLY) and same(sent[0], change.value)

    def was_read(self, name: str, change: Change) -> bool:
        entry = self._entry
        if not entry.started:
            return False
        # A push changes only values that are stored otherwise than written: what was read before it holds after it.
        read = entry.files if name in entry.files else entry.unread
        return name in read and change.field.same(read[name], change.value)

    def verified(self, name: str, change: Change, found: Any, *, restores: bool) -> None:
        self._ledger.verified(self.id, name, change.value)

    def missed(self, name: str, found: Any) -> None:
        self._ledger.missed(self.id, name)

    def drifted(self, name: str, field: Field) -> bool:
        if field.update:
            self._ledger.drifted(self.id, name)
        return field.update

    def who_writes(
        self, name: str, field: Field, spelled: Form | None, found: Any, originals: Mapping[str, Any], node: NodeState
    ) -> str:
        value, route = self._entry.sent.get(name, (None, ""))
        if route != WRITE and alike(spelled, value, found):
            return RUNTIME
        return KUBELET if alike(spelled, baseline_value(field, self._entry.baseline, node), found) else UNKNOWN


class Seen(NamedTuple):
    """A file of a pod or class."""

    wanted: Any
    found: Any
    """its value at the last read: the kernel may have rounded it, or somebody else have written it"""
    right: bool


class KnownFiles:
    """The files of pods and classes. Used by one thread."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], Seen] = {}

    def of(self, owner_id: str, name: str) -> Seen | None:
        """One file; None when it never had a value of ours."""
        return self._seen.get((owner_id, name))

    def put(self, owner_id: str, name: str, seen: Seen) -> None:
        """One file was read."""
        self._seen[owner_id, name] = seen

    def forget(self, owner_id: str, name: str) -> None:
        """Nothing of ours is in the file any more."""
        self._seen.pop((owner_id, name), None)

    def keep(self, owner_ids: Collection[str]) -> None:
        """These are all owners."""
        self._seen = {key: seen for key, seen in self._seen.items() if key[0] in owner_ids}


class _OwnerOfKnownFiles:
    """The common part of pods and classes."""

    __slots__ = ("_files", "id", "unit")
    container = ""
    keeps_originals = True

    def __init__(self, id: str, files: KnownFiles) -> None:
        self.id = self.unit = id
        self._files = files

    def is_right(self, name: str, change: Change) -> bool:
        seen = self._files.of(self.id, name)
        return seen is not None and seen.right and change.field.same(seen.wanted, change.value)

    def had(self, name: str, change: Change) -> bool:
        seen = self._files.of(self.id, name)
        return seen is not None and change.field.same(seen.wanted, change.value)

    def was_read(self, name: str, change: Change) -> bool:
        return self.had(name, change)  # nothing is sent to them: all that is known was read

    def verified(self, name: str, change: Change, found: Any, *, restores: bool) -> None:
        if restores:
            self._files.forget(self.id, name)
        else:
            self._files.put(self.id, name, Seen(change.value, found, right=True))

    def missed(self, name: str, found: Any) -> None:
        if (seen := self._files.of(self.id, name)) is not None:
            self._files.put(self.id, name, seen._replace(found=found, right=False))

    def drifted(self, name: str, field: Field) -> bool:
        return False

    def who_writes(
        self, name: str, field: Field, spelled: Form | None, found: Any, originals: Mapping[str, Any], node: NodeState
    ) -> str:
        if not alike(spelled, originals.get(name), found):
            return UNKNOWN
        return SYSTEMD if node.cgroup_driver == SYSTEMD else KUBELET


class PodOwner(_OwnerOfKnownFiles):
    """A pod. See Owner."""

    __slots__ = ("pod",)

    def __init__(self, pod: Pod, files: KnownFiles) -> None:
        super().__init__(pod.id, files)
        self.pod = pod

    @property
    def names(self) -> dict[str, str]:
        return names_of_pod(self.pod)

    @property
    def title(self) -> str:
        return f"{self.pod.namespace}/{self.pod.name}"


class ClassOwner(_OwnerOfKnownFiles):
    """A cgroup outside of pods. See Owner."""

    __slots__ = ("cgroup",)
    pod = None

    def __init__(self, cgroup: OuterCgroup, files: KnownFiles) -> None:
        super().__init__(cgroup.id, files)
        self.cgroup = cgroup

    @property
    def names(self) -> dict[str, str]:
        return names_of_class(self.cgroup)

    @property
    def title(self) -> str:
        return self.cgroup.name

    def who_writes(
        self, name: str, field: Field, spelled: Form | None, found: Any, originals: Mapping[str, Any], node: NodeState
    ) -> str:
        if isinstance(self.cgroup, HostCgroup):
            return UNKNOWN  # its service manager, or whoever
        return super().who_writes(name, field, spelled, found, originals, node)


def alike(spelled: Form | None, value: Any, found: Any) -> bool:
    """Whether a file that reads as `found` has `value`; False when either is unknown, or no file accepts it."""
    try:
        return spelled is not None and value is not None and found is not None and spelled.same(value, found)
    except (TypeError, ValueError):
        return False
