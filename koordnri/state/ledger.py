"""What the runtime reported, and what koordnri did about it.

Mutable, unlike everything else that a decision reads. One lock, held for microseconds, never across a call to the runtime.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from koordnri.model import Pod, Resources
from koordnri.model.allocated import Allocated
from koordnri.model.class_cgroup import is_outer
from koordnri.model.decision import Decision
from koordnri.model.resources import Note
from koordnri.model.routes import RECORD
from koordnri.state.entry import Entry

MOST_LEFT = 1000
"""Most stopped sandboxes whose originals are kept for a second sandbox of the pod."""


class Ledger:
    """Pods and containers of the node, by the runtime's ids.

    The ledger has a container's note if the container's annotation is out of date: an in-place resize changed the baseline, the reply to
    an update set other values than the creation did, or the container is older than koordnri. Originals are what cgroup files held before
    we first wrote them, by pod, container or class. Both must outlive the process: `on_change` is called, without the lock, when one of
    them changed.
    """

    def __init__(
        self,
        notes: dict[str, Note] | None = None,
        on_change: Callable[[], None] = lambda: None,
        originals: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        self.creating = ""
        """pod of the container that is being decided now, and is not in the ledger yet"""
        self.edits = 0
        """grows with each change that a plan may depend on"""
        self.readings = 0
        """grows when a container's file is read and has another value than at the last reading"""
        self._lock = threading.Lock()
        self._pods: dict[str, Pod] = {}
        self._containers: dict[str, Entry] = {}
        self._by_pod: dict[str, set[str]] = {}
        self._notes: dict[str, Note] = dict(notes or {})
        self._on_change = on_change
        self._originals: dict[str, dict[str, Any]] = {i: dict(o) for i, o in (originals or {}).items()}
        self._sandboxes: dict[str, list[str]] = {}
        """uid → the pod's sandboxes, the newest last: kubelet may make a second one while the first still stands"""
        self._left: OrderedDict[str, dict[str, Any]] = OrderedDict()
        """uid of a pod whose sandbox was stopped → its originals: kubelet may make a second sandbox in the same cgroup"""

    # -- pods ---------------------------------------------------------------------------------------------------------

    def pod(self, pod_id: str) -> Pod | None:
        """The pod as last reported, with what was parsed from its annotations."""
        return self._pods.get(pod_id)

    def has(self, key: str) -> bool:
        """Whether there is a sandbox of the pod with this key (`Pod.key`)."""
        return key in self._sandboxes or key in self._pods

    def sandboxes(self, uid: str) -> list[Pod]:
        """The sandboxes of the pod with this uid, the newest last; empty when there is none."""
        with self._lock:
            return [self._pods[pod_id] for pod_id in self._sandboxes.get(uid, ())]

    def remember_pod(self, pod: Pod) -> None:
        """A pod was started or reported again. A second sandbox of a pod gets the first one's originals: its cgroup is the same."""
        with self._lock:
            self.edits += 1
            left = self._left.pop(pod.uid, None)
            if left is None and (others := self._sandboxes.get(pod.uid)) and others[-1] != pod.id:
                left = self._originals.get(others[-1])
            self._add_pod(pod)
            if left is not None:
                self._originals.setdefault(pod.id, dict(left))
        if left is not None:
            self._on_change()

    def update_pod(self, pod: Pod) -> bool:
        """Others than the runtime changed what is known of a pod. False when the pod is gone."""
        with self._lock:
            self.edits += 1
            if pod.id not in self._pods:
                return False
            self._pods[pod.id] = pod
            return True

    def judge(self, pod_id: str, believe: Callable[[Pod], Pod]) -> Pod | None:
        """Apply the trust rules in force to a pod, which stays the same object if nothing changes; None when it is gone.

        Whoever stores a pod calls this afterwards, and whoever changes the rules calls it for all pods. So no pod stays under former rules,
        whichever thread is first.
        """
        while (pod := self._pods.get(pod_id)) is not None and (now := believe(pod)) is not pod:
            with self._lock:
                if self._pods.get(pod_id) is pod:  # otherwise another thread has stored a newer one
                    self.edits += 1
                    self._pods[pod_id] = now
        return pod

    def forget_pod(self, pod_id: str) -> None:
        """The pod is gone, and so are its containers, even if the runtime did not report that."""
        with self._lock:
            self.edits += 1
            pod, originals = self._pods.pop(pod_id, None), self._originals.pop(pod_id, None)
            changed = originals is not None
            if pod is not None:
                self._drop_sandbox(pod)
            if pod is not None and pod.uid and originals:
                self._left[pod.uid] = originals
                while len(self._left) > MOST_LEFT:
                    self._left.popitem(last=False)
            changed |= self._drop(tuple(self._by_pod.get(pod_id, ())))
        if changed:
            self._on_change()

    # -- containers ---------------------------------------------------------------------------------------------------

    def container(self, container_id: str) -> Entry | None:
        """A container; None when it is unknown."""
        return self._containers.get(container_id)

    def note(self, container_id: str) -> Note | None:
        """The container's note; None when its annotation is up to date."""
        return self._notes.get(container_id)

    def noted_baseline(self, container_id: str) -> Resources | None:
        """The baseline of that note."""
        note = self._notes.get(container_id)
        return None if note is None else note.asked

    def remember(
        self,
        entry: Entry,
        decision: Decision,
        note: Note | None = None,
        sent: dict[str, tuple[Any, str]] | None = None,
    ) -> None:
        """Store the decision made for an event. `note`: the container's note, if its annotation is out of date.

        `sent`: the values of ours that the runtime has, if the decision was not sent whole; None: it was.
        """
        if sent is None:
            sent = {name: (s.value, s.route) for name, s in decision.settings.items()}
        changed = False
        with self._lock:
            self.edits += 1
            if not entry.started:
                self._end_failed_creations(entry)
            entry.sent = sent
            entry.withheld |= bool(decision.controlled)
            self._containers[entry.id] = entry
            self._by_pod.setdefault(entry.pod_id, set()).add(entry.id)
            if not note:  # kubelet may have returned to the annotation's values
                changed = self._notes.pop(entry.id, None) is not None
            elif self._notes.get(entry.id) != note:
                self._notes[entry.id] = note
                changed = True
        if changed:
            self._on_change()

    def _end_failed_creations(self, entry: Entry) -> None:
        """kubelet creates a container of the same name again only when the first one has failed. The runtime may have refused that one
        after our answer, or because our answer came too late, and CRI-O reports no end of it.
        """
        for other_id in self._by_pod.get(entry.pod_id, ()):
            other = self._containers[other_id]
            if other.name == entry.name and other_id != entry.id and not other.started:
                other.ended = True

    def started(self, entry: Entry) -> bool:
        """Its first process is about to run. Returns whether its files must be looked at: they were withheld, or were read before, and the
        OCI runtime may have written them since.
        """
        with self._lock:
            self.edits += 1
            entry.started, stale = True, entry.withheld or bool(entry.files)
            entry.withheld = False
            entry.files.clear()
            entry.unread = {}
        return stale

    def withhold(self, entry: Entry) -> bool:
        """Files of a container wait until it has started. Returns whether they may: False if it has started meanwhile."""
        with self._lock:
            entry.withheld = not entry.started
            return entry.withheld

    def ended(self, container_id: str) -> Entry | None:
        """Its process has ended. Returns the container; None when it is unknown."""
        with self._lock:
            self.edits += 1
            if (entry := self._containers.get(container_id)) is not None:
                entry.ended = True
            return entry

    def note_exclusive(self, container_id: str, allocated: Allocated) -> None:
        """A running container has other exclusive CPUs than its annotation says."""
        with self._lock:
            entry = self._containers.get(container_id)
            if entry is None:
                return
            note = self._notes.get(container_id) or Note(entry.baseline)
            self._notes[container_id] = note.with_allocated(allocated)
        self._on_change()

    def forget_container(self, container_id: str) -> None:
        """The container was removed."""
        with self._lock:
            self.edits += 1
            changed = self._drop((container_id,))
        if changed:
            self._on_change()

    def replace(self, pods: Iterable[Pod], container_ids: Iterable[str]) -> None:
        """Synchronize: these are all pods and containers. Everything else is dropped; pods are stored again."""
        keep = set(container_ids)
        with self._lock:
            self.edits += 1
            self.creating = ""  # its event has been cut off
            self._pods, self._sandboxes = {}, {}
            for pod in pods:
                self._add_pod(pod)
            changed = self._drop([i for i in self._containers if i not in keep])
            for stale in [i for i in self._notes if i not in keep]:
                del self._notes[stale]
                changed = True
            for stale in [i for i in self._originals if i not in keep and i not in self._pods and not is_outer(i)]:
                del self._originals[stale]
                changed = True
        if changed:
            self._on_change()

    # -- files that we wrote ------------------------------------------------------------------------------------------

    def originals(self, owner_id: str) -> dict[str, Any]:
        """Field → what its file held before we first wrote it; of a container, a pod or a cgroup outside of pods."""
        return dict(self._originals.get(owner_id, ()))

    def any_original(self, name: str) -> bool:
        """Whether any pod, container or class has an original of this field."""
        with self._lock:
            return any(name in originals for originals in self._originals.values())

    def verified(self, container_id: str, name: str, value: Any) -> None:
        """A container's file was read and has this value."""
        known = self._containers.get(container_id)
        if known is not None and name in known.files and known.files.get(name) == value:
            return
        with self._lock:
            entry = self._containers.get(container_id)
            if entry is not None and (name not in entry.files or entry.files[name] != value):
                self.readings += 1
                entry.files[name] = value

    def missed(self, container_id: str, name: str) -> None:
        """A container's file does not have its decided value."""
        with self._lock:
            if (entry := self._containers.get(container_id)) is None:
                return
            if entry.unread:
                entry.unread = {field: value for field, value in entry.unread.items() if field != name}
            if name in entry.files:
                self.readings += 1
                del entry.files[name]

    def drifted(self, container_id: str, name: str) -> None:
        """Somebody else wrote a container's file; it has its value again."""
        with self._lock:
            self.edits += 1
            if (entry := self._containers.get(container_id)) is not None:
                entry.drifted |= {name}

    def wrote(self, owner_id: str, name: str, before: Any) -> None:
        """A file was written and reads back as wanted. Only its first write makes plans out of date: later ones leave the original."""
        if name in self._originals.get(owner_id, ()):
            return
        with self._lock:
            if owner_id not in self._containers and owner_id not in self._pods and not is_outer(owner_id):
                return  # it is gone
            self.edits += 1
            self._originals.setdefault(owner_id, {}).setdefault(name, before)
        self._on_change()

    def intend(self, owner_id: str, befores: dict[str, Any]) -> None:
        """Files of a pod, container or class are about to be written. Save the ledger before that: a crash in between must not lose the
        originals.
        """
        with self._lock:
            self.edits += 1
            if owner_id in self._pods or owner_id in self._containers or is_outer(owner_id):
                self._originals[owner_id] = {**befores, **self._originals.get(owner_id, {})}

    def rebase(self, owner_id: str, name: str, before: Any) -> None:
        """Somebody else wrote the file, for example kubelet when it resizes a pod: that value is now the original."""
        with self._lock:
            self.edits += 1
            if name in self._originals.get(owner_id, {}):
                self._originals[owner_id][name] = before
        self._on_change()

    def restored(self, owner_id: str, name: str) -> None:
        """A file has its original value again; nothing of ours is left in it."""
        with self._lock:
            self.edits += 1
            originals = self._originals.get(owner_id, {})
            had = originals.pop(name, self) is not self
            if had and not originals:
                del self._originals[owner_id]
        if had:
            self._on_change()

    def forget_originals(self, owner_id: str) -> None:
        """The cgroup is gone, and what we wrote with it."""
        with self._lock:
            had = self._originals.pop(owner_id, None) is not None
        if had:
            self._on_change()

    def owners(self) -> list[str]:
        """Keys of all who have originals."""
        with self._lock:
            return list(self._originals)

    def all_originals(self) -> dict[str, dict[str, Any]]:
        """A copy, for the state directory."""
        with self._lock:
            return {i: dict(o) for i, o in self._originals.items()}

    # -- updates of our own -------------------------------------------------------------------------------------------

    def sending(self, container_id: str, values: dict[str, int | str]) -> None:
        """Values are about to be sent through the runtime. Save the ledger before that: see `Note.maybe`."""
        with self._lock:
            self.edits += 1
            if (entry := self._containers.get(container_id)) is not None:
                _must_be_read(entry)  # the runtime applies its whole stored spec, not only what it is sent
                note = self._notes.get(container_id) or Note(entry.baseline)
                self._notes[container_id] = note.sending(values)

    def recorded(self, container_id: str, values: dict[str, int | str]) -> None:
        """The runtime has stored the values."""
        with self._lock:
            self.edits += 1
            entry, note = self._containers.get(container_id), self._notes.get(container_id)
            if entry is None:
                return  # it is gone
            _must_be_read(entry)
            entry.sent.update((name, (value, RECORD)) for name, value in values.items())
            entry.drifted -= values.keys()
            note = note or Note(entry.baseline)
            self._notes[container_id] = note.followed_by(note.asked, values)
        self._on_change()

    # -- views --------------------------------------------------------------------------------------------------------

    def notes(self) -> dict[str, Note]:
        """A copy of the notes, for the state directory."""
        with self._lock:
            return dict(self._notes)

    def counts(self) -> tuple[int, int]:
        """(pods, containers)."""
        return len(self._pods), len(self._containers)

    def pods(self) -> list[Pod]:
        """All pods at one moment."""
        with self._lock:
            return list(self._pods.values())

    def containers_of(self, pod_id: str) -> list[Entry]:
        """The containers of one pod at one moment."""
        with self._lock:
            return [self._containers[i] for i in sorted(self._by_pod.get(pod_id, ()))]

    def entries(self) -> list[Entry]:
        """All containers at one moment."""
        with self._lock:
            return list(self._containers.values())

    def _add_pod(self, pod: Pod) -> None:
        """Store a pod as the newest of its uid; the lock is held."""
        if (before := self._pods.get(pod.id)) is not None:
            self._drop_sandbox(before)
        self._pods[pod.id] = pod
        if not pod.uid:
            return
        self._sandboxes.setdefault(pod.uid, []).append(pod.id)

    def _drop_sandbox(self, pod: Pod) -> None:
        """Forget a pod's sandbox; the lock is held."""
        if not pod.uid:
            return
        of_uid = self._sandboxes[pod.uid]
        of_uid.remove(pod.id)
        if not of_uid:
            del self._sandboxes[pod.uid]

    def _drop(self, ids: Iterable[str]) -> bool:
        """Drop containers; the lock is held. Returns whether a note or an original was dropped with them."""
        changed = False
        for container_id in ids:
            entry = self._containers.pop(container_id, None)
            if entry is not None and (siblings := self._by_pod.get(entry.pod_id)) is not None:
                siblings.discard(container_id)
                if not siblings:
                    del self._by_pod[entry.pod_id]
            changed |= self._notes.pop(container_id, None) is not None
            changed |= self._originals.pop(container_id, None) is not None
        return changed


def _must_be_read(entry: Entry) -> None:
    """The runtime writes, or has written, all files of the container."""
    entry.unread = {**entry.unread, **entry.files}
    entry.files.clear()
