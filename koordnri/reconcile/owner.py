"""Whose a cgroup file is: a container's, a pod's, or a cgroup's above the pods. What differs between the three stands here.

What the file of a container holds is known by its entry in the ledger; of pods and classes KnownFiles remembers it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol

from koordnri.host.cgroup.change import Change
from koordnri.host.cgroup.spelling import Form
from koordnri.model import Field, NodeState, Pod
from koordnri.model.class_cgroup import ClassCgroup
from koordnri.model.difference import baseline_value
from koordnri.state.ledger import Entry, Ledger

SYSTEMD, KUBELET, RUNTIME, UNKNOWN = "systemd", "kubelet", "runtime", "unknown"


class Owner(Protocol):
    """One container, pod or class. A field is named as in decisions."""

    @property
    def id(self) -> str:
        """Its key in the ledger."""

    @property
    def unit(self) -> str:
        """Id of the pod, or of the class: a fault costs this and no more, and this is looked at again."""

    @property
    def pod(self) -> Pod | None:
        """Itself, or the container's; None above the pods."""

    @property
    def container(self) -> str:
        """The container's name, else ""."""

    @property
    def keeps_originals(self) -> bool:
        """Whether what a file held must be noted before it is first written: nobody else tells what kubelet had set."""

    @property
    def names(self) -> dict[str, str]:
        """As rows of a comparison name it."""

    @property
    def title(self) -> str:
        """As a line of the log names it."""

    def is_right(self, name: str, change: Change) -> bool:
        """Whether the file had what is wanted when it was last read."""

    def had(self, name: str, change: Change) -> bool:
        """Whether the file had been brought to this value before, so that it is lost and not merely late."""

    def verified(self, name: str, change: Change, found: Any, *, restores: bool) -> None:
        """The file has what is wanted, and reads as `found`."""

    def missed(self, name: str, found: Any) -> None:
        """The file does not have what is wanted. `found` is how it reads, None when it cannot be read."""

    def drifted(self, name: str, field: Field) -> bool:
        """The file had lost its value, and has it again. Whether the value must be recorded again through the runtime."""

    def who_writes(
        self, name: str, field: Field, spelled: Form | None, found: Any, originals: Mapping[str, Any], node: NodeState
    ) -> str:
        """Who would write `found` into the file: `systemd`, `kubelet`, `runtime` or `unknown`.

        originals   name of the field → what its file held before we wrote it first
        """


def names_of_pod(pod: Pod) -> dict[str, str]:
    """Namespace, pod and class as rows of a comparison name a pod."""
    return {"namespace": pod.namespace, "pod": pod.name, "kube_class": ""}


def names_of_class(cgroup: ClassCgroup) -> dict[str, str]:
    """The same of a cgroup above the pods."""
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
            return False  # its cgroup is being made right now, and has not had anything yet
        if name in entry.files:
            return same(entry.files[name], change.value)
        sent = entry.sent.get(name)
        return sent is not None and sent[1] != "write" and same(sent[0], change.value)

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
        if route != "write" and alike(spelled, value, found):
            return RUNTIME
        return KUBELET if alike(spelled, baseline_value(field, self._entry.baseline, node), found) else UNKNOWN


class Seen(NamedTuple):
    """What is known of a file of a pod or class."""

    wanted: Any
    found: Any
    """how it read when we looked last: the kernel may have rounded, or somebody else have written"""
    right: bool


class KnownFiles:
    """What is known of the files of pods and classes. Used by one thread."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], Seen] = {}

    def of(self, owner_id: str, name: str) -> Seen | None:
        """One file; None when it was never brought to a value."""
        return self._seen.get((owner_id, name))

    def put(self, owner_id: str, name: str, seen: Seen) -> None:
        """One file was read."""
        self._seen[owner_id, name] = seen

    def forget(self, owner_id: str, name: str) -> None:
        """Nothing of ours is in a file any more."""
        self._seen.pop((owner_id, name), None)

    def keep(self, owner_ids: Collection[str]) -> None:
        """These owners are all there are."""
        self._seen = {key: seen for key, seen in self._seen.items() if key[0] in owner_ids}


class _OwnerOfKnownFiles:
    """What pods and classes have in common."""

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
    """A cgroup above the pods. See Owner."""

    __slots__ = ("cgroup",)
    pod = None

    def __init__(self, cgroup: ClassCgroup, files: KnownFiles) -> None:
        super().__init__(cgroup.id, files)
        self.cgroup = cgroup

    @property
    def names(self) -> dict[str, str]:
        return names_of_class(self.cgroup)

    @property
    def title(self) -> str:
        return self.cgroup.name


def alike(spelled: Form | None, value: Any, found: Any) -> bool:
    """Whether a file that reads as `found` holds `value`; False where either is not known, or no file takes it."""
    try:
        return spelled is not None and value is not None and found is not None and spelled.same(value, found)
    except (TypeError, ValueError):
        return False
