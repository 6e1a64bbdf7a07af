"""What the runtime told us and what we did about it.

Mutable, unlike everything else that a decision reads: one lock, held for microseconds, never across a call to the runtime.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from koordnri.model import Container, Pod, Resources
from koordnri.model.allocated import Allocated
from koordnri.model.class_cgroup import CLASS_IDS
from koordnri.model.decision import Decision
from koordnri.model.resources import Note
from koordnri.model.routes import RECORD

MOST_LEFT = 1000
"""Stopped sandboxes whose notes are kept for a second one."""


class Entry:
    """One container: whose it is, what kubelet asked for, what the runtime was told, what its files hold."""

    __slots__ = ("baseline", "drifted", "ended", "files", "id", "name", "pod_id", "sent", "started", "under")

    def __init__(self, id: str, name: str, pod_id: str, baseline: Resources) -> None:
        self.id = id
        self.name = name
        self.pod_id = pod_id
        self.baseline = baseline
        self.sent: dict[str, tuple[Any, str]] = {}
        """name of the field → (value, route) that the runtime was told last: `adjust`, `reply` or `record`. A setting with route
        `write` stands here too, until its file is written."""
        self.files: dict[str, Any] = {}
        """name of the field → value that its file had when the reconciler looked last"""
        self.drifted: frozenset[str] = frozenset()
        """fields whose file somebody else had written: he may have done so through the runtime, which has his value stored then"""
        self.started = True
        """False between its creation and its start: meanwhile the OCI runtime makes its cgroup, with what we sent"""
        self.ended = False
        """whether its process is no more; kubelet may make the container again under another id"""
        self.under: object = None
        """what it was decided under when it was created"""

    @property
    def container(self) -> Container:
        """As a decision takes it."""
        return Container(self.id, self.name, self.pod_id, self.baseline)


class Ledger:
    """Pods and containers of the node, by the runtime's ids.

    `moved` holds the notes that a container's own annotation does not tell: an in-place resize moved the baseline, a reply to an update
    set something else than the creation did, or the container was there before us. `written` holds, by pod or container, which fields
    we wrote into cgroup files ourselves, and what was there before. Both must outlive the process: `on_moved` is called, without the
    lock, whenever one changed.
    """

    def __init__(
        self,
        moved: dict[str, Note] | None = None,
        on_moved: Callable[[], None] = lambda: None,
        written: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        self.creating = ""
        """pod of the container that is being decided right now, and is not remembered yet"""
        self.edits = 0
        """grows whenever something is remembered or forgotten that a plan may depend on"""
        self._lock = threading.Lock()
        self._pods: dict[str, Pod] = {}
        self._containers: dict[str, Entry] = {}
        self._by_pod: dict[str, set[str]] = {}
        self._moved: dict[str, Note] = dict(moved or {})
        self._on_moved = on_moved
        self._written: dict[str, dict[str, Any]] = {i: dict(w) for i, w in (written or {}).items()}
        self._newest: dict[str, str] = {}
        """uid → sandbox of the pod that was started last"""
        self._left: OrderedDict[str, dict[str, Any]] = OrderedDict()
        """uid of a pod whose sandbox was stopped → its written notes: kubelet may make a second one in the same cgroup"""

    # -- pods ---------------------------------------------------------------------------------------------------------

    def pod(self, pod_id: str) -> Pod | None:
        """The pod as last told, with what was parsed from its annotations."""
        return self._pods.get(pod_id)

    def remember_pod(self, pod: Pod) -> None:
        """A pod was started, or was told anew. A second sandbox of a pod has the notes of the first: its cgroup is the same."""
        with self._lock:
            self.edits += 1
            left = self._left.pop(pod.uid, None)
            before = self._newest.get(pod.uid, pod.id)
            if left is None and before != pod.id and before in self._pods:
                left = self._written.get(before)
            self._pods[pod.id] = pod
            if pod.uid:
                self._newest[pod.uid] = pod.id
            if left is not None:
                self._written.setdefault(pod.id, dict(left))
        if left is not None:
            self._on_moved()

    def update_pod(self, pod: Pod) -> bool:
        """A pod is told otherwise by somebody else than the runtime. False when it is gone meanwhile."""
        with self._lock:
            self.edits += 1
            if pod.id not in self._pods:
                return False
            self._pods[pod.id] = pod
            return True

    def forget_pod(self, pod_id: str) -> None:
        """The pod is gone, and with it its containers, of which the runtime may have told nothing."""
        with self._lock:
            self.edits += 1
            pod, written = self._pods.pop(pod_id, None), self._written.pop(pod_id, None)
            moved = written is not None
            if pod is not None and self._newest.get(pod.uid) == pod_id:
                del self._newest[pod.uid]
            if pod is not None and pod.uid and written:
                self._left[pod.uid] = written
                while len(self._left) > MOST_LEFT:
                    self._left.popitem(last=False)
            moved |= self._drop(tuple(self._by_pod.get(pod_id, ())))
        if moved:
            self._on_moved()

    # -- containers ---------------------------------------------------------------------------------------------------

    def container(self, container_id: str) -> Entry | None:
        """What we know of the container; None when we never saw it."""
        return self._containers.get(container_id)

    def moved_note(self, container_id: str) -> Note | None:
        """The note that the container's annotation does not tell; None when the annotation is right."""
        return self._moved.get(container_id)

    def moved_baseline(self, container_id: str) -> Resources | None:
        """The baseline of that note."""
        note = self._moved.get(container_id)
        return None if note is None else note.asked

    def record(
        self,
        entry: Entry,
        decision: Decision,
        moved: Note | None = None,
        sent: dict[str, tuple[Any, str]] | None = None,
    ) -> None:
        """The decision was made for an event. `moved`: the note of the container, where its annotation says something else.

        `sent` is what the runtime has of ours when the decision did not go out whole; None: it did.
        """
        if sent is None:
            sent = {name: (s.value, s.route) for name, s in decision.settings.items()}
        changed = False
        with self._lock:
            self.edits += 1
            entry.sent = sent
            self._containers[entry.id] = entry
            self._by_pod.setdefault(entry.pod_id, set()).add(entry.id)
            if not moved:  # kubelet may have moved it back to where the annotation has it
                changed = self._moved.pop(entry.id, None) is not None
            elif self._moved.get(entry.id) != moved:
                self._moved[entry.id] = moved
                changed = True
        if changed:
            self._on_moved()

    def started(self, entry: Entry) -> bool:
        """Its first process is about to run. Whether its files were looked at before: the OCI runtime may have written them since."""
        with self._lock:
            self.edits += 1
            entry.started, looked_at = True, bool(entry.files)
            entry.files.clear()
        return looked_at

    def ended(self, container_id: str) -> Entry | None:
        """Its process is no more. The container; None when it is not known."""
        with self._lock:
            self.edits += 1
            if (entry := self._containers.get(container_id)) is not None:
                entry.ended = True
            return entry

    def note_exclusive(self, container_id: str, own: Allocated) -> None:
        """A container that runs has other exclusive CPUs than its annotation says."""
        with self._lock:
            entry = self._containers.get(container_id)
            if entry is None:
                return
            note = self._moved.get(container_id) or Note(entry.baseline)
            self._moved[container_id] = note.owning(own)
        self._on_moved()

    def forget_container(self, container_id: str) -> None:
        """The container was removed."""
        with self._lock:
            self.edits += 1
            moved = self._drop((container_id,))
        if moved:
            self._on_moved()

    def replace(self, pods: Iterable[Pod], container_ids: Iterable[str]) -> None:
        """Synchronize: these are all there are. Whatever else we knew is gone; pods are remembered anew."""
        keep = set(container_ids)
        with self._lock:
            self.edits += 1
            self.creating = ""  # whoever it was has been cut off
            self._pods = {p.id: p for p in pods}
            self._newest = {p.uid: p.id for p in self._pods.values() if p.uid}
            moved = self._drop([i for i in self._containers if i not in keep])
            for stale in [i for i in self._moved if i not in keep]:
                del self._moved[stale]
                moved = True
            for stale in [i for i in self._written if i not in keep and i not in self._pods and i not in CLASS_IDS]:
                del self._written[stale]
                moved = True
        if moved:
            self._on_moved()

    # -- files that we wrote ------------------------------------------------------------------------------------------

    def written(self, owner_id: str) -> dict[str, Any]:
        """Field → what its file held before we wrote it first, of a pod or container."""
        return dict(self._written.get(owner_id, ()))

    def verified(self, container_id: str, name: str, value: Any) -> None:
        """A container's file was read, and holds this."""
        with self._lock:
            if (entry := self._containers.get(container_id)) is not None:
                entry.files[name] = value

    def missed(self, container_id: str, name: str) -> None:
        """A container's file does not hold what it is to have."""
        with self._lock:
            if (entry := self._containers.get(container_id)) is not None:
                entry.files.pop(name, None)

    def drifted(self, container_id: str, name: str) -> None:
        """A container's file had lost its value, and has it again."""
        with self._lock:
            self.edits += 1
            if (entry := self._containers.get(container_id)) is not None:
                entry.drifted |= {name}

    def wrote(self, owner_id: str, name: str, before: Any) -> None:
        """A file was written, and reads back as wanted."""
        with self._lock:
            self.edits += 1
            if owner_id not in self._containers and owner_id not in self._pods and owner_id not in CLASS_IDS:
                return  # gone meanwhile
            written = self._written.setdefault(owner_id, {})
            first = name not in written
            written.setdefault(name, before)
        if first:
            self._on_moved()

    def intend(self, owner_id: str, befores: dict[str, Any]) -> None:
        """Files of a pod are about to be written. To be saved before they are: a crash in between must not lose what was there."""
        with self._lock:
            self.edits += 1
            if owner_id in self._pods or owner_id in CLASS_IDS:
                self._written[owner_id] = {**befores, **self._written.get(owner_id, {})}

    def rebase(self, owner_id: str, name: str, before: Any) -> None:
        """Somebody else has written the file since, as kubelet does when it resizes a pod: that is to be gone back to now."""
        with self._lock:
            self.edits += 1
            if name in self._written.get(owner_id, {}):
                self._written[owner_id][name] = before
        self._on_moved()

    def restored(self, owner_id: str, name: str) -> None:
        """A file holds what it held before us; nothing of ours is left there."""
        with self._lock:
            self.edits += 1
            written = self._written.get(owner_id, {})
            had = written.pop(name, self) is not self
            if had and not written:
                del self._written[owner_id]
        if had:
            self._on_moved()

    def all_written(self) -> dict[str, dict[str, Any]]:
        """A copy, for the state directory."""
        with self._lock:
            return {i: dict(w) for i, w in self._written.items()}

    # -- updates of our own -------------------------------------------------------------------------------------------

    def sending(self, container_id: str, values: dict[str, int | str]) -> None:
        """Values are about to go through the runtime. To be saved before they do: see `Note.maybe`."""
        with self._lock:
            self.edits += 1
            if (entry := self._containers.get(container_id)) is not None:
                entry.files.clear()  # the runtime applies all that it has stored, not only what it is sent
                note = self._moved.get(container_id) or Note(entry.baseline)
                self._moved[container_id] = note.sending(values)

    def recorded(self, container_id: str, values: dict[str, int | str]) -> None:
        """The runtime has taken them."""
        with self._lock:
            self.edits += 1
            entry, note = self._containers.get(container_id), self._moved.get(container_id)
            if entry is None:
                return  # gone meanwhile
            entry.files.clear()
            entry.sent.update((name, (value, RECORD)) for name, value in values.items())
            entry.drifted -= values.keys()
            note = note or Note(entry.baseline)
            self._moved[container_id] = note.followed_by(note.asked, values)
        self._on_moved()

    # -- views --------------------------------------------------------------------------------------------------------

    def moved(self) -> dict[str, Note]:
        """A copy of the moved notes, for the state directory."""
        with self._lock:
            return dict(self._moved)

    def counts(self) -> tuple[int, int]:
        """(pods, containers)."""
        return len(self._pods), len(self._containers)

    def pods(self) -> list[Pod]:
        """All pods, at one moment."""
        with self._lock:
            return list(self._pods.values())

    def containers_of(self, pod_id: str) -> list[Entry]:
        """The containers of one pod, at one moment."""
        with self._lock:
            return [self._containers[i] for i in sorted(self._by_pod.get(pod_id, ()))]

    def entries(self) -> list[Entry]:
        """All containers, at one moment."""
        with self._lock:
            return list(self._containers.values())

    def _drop(self, ids: Iterable[str]) -> bool:
        """Forget containers; the lock is held. Says whether a moved note went with them."""
        moved = False
        for container_id in ids:
            entry = self._containers.pop(container_id, None)
            if entry is not None and (siblings := self._by_pod.get(entry.pod_id)) is not None:
                siblings.discard(container_id)
                if not siblings:
                    del self._by_pod[entry.pod_id]
            moved |= self._moved.pop(container_id, None) is not None
            moved |= self._written.pop(container_id, None) is not None
        return moved
