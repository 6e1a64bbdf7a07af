"""A container that exists already, with all that is known about who set its stored values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from koordnri.model import Container, Decision, NodeState, Pod
from koordnri.model.allocated import Allocated
from koordnri.model.difference import Ours, agree, is_stored, stored_of_ours, through_runtime
from koordnri.model.field import Writing
from koordnri.model.fields import ALL
from koordnri.model.resources import BASELINE_KEY, Note
from koordnri.model.routes import REPLY, WRITE
from koordnri.session.translate import container_from, note_of, resources_from
from koordnri.state.ledger import Ledger
from koordnri.wire import views_pb2 as views

_BYTES_IN_USE = tuple(field for field in ALL if field.writing in (Writing.KILLS, Writing.THROTTLES))
Sent = dict[str, tuple[Any, str]]
"""`Entry.sent`"""


class Known(NamedTuple):
    """A container at an event or Synchronize; made by `of`."""

    container: Container
    note: Note
    """the newest note"""
    annotated: Note | None
    """the note in its annotation; None without one, or when it cannot be trusted"""
    ours: Ours
    """every value that we may have set"""
    files: Mapping[str, Any]
    """field name → value of its file when the reconciler last read it"""

    @classmethod
    def of(cls, message: views.Container, pod: Pod, ledger: Ledger, node: NodeState) -> Known:
        """The container as the runtime reports it, with the best known baseline."""
        # If the pod's owner wrote our annotation, the runtime may have copied it to the container: do not trust it. What its owner writes
        # or deletes after the creation never comes there, so only the runtime's annotations of the pod count.
        annotated = None if BASELINE_KEY in pod.reported else note_of(message)
        note = ledger.note(message.id) or annotated or Note(resources_from(message.linux.resources))
        ours: list[Mapping[str, Any]] = list(note.ours)
        if annotated is not None and annotated is not note:
            ours.append(annotated.set)
        entry, files = ledger.container(message.id), {}
        if entry is not None:
            files = dict(entry.files)
            # Copied in one step, because another thread adds what it writes.
            ours.append({name: value for name, (value, _) in dict(entry.sent).items()})
        container = container_from(message, note)
        if note.maybe:
            note = note.seen(stored_of_ours(container.stored, node, ours))
        return cls(container, note, annotated, ours, files)

    def with_allocated(self, allocated: Allocated) -> Known:
        """The same container with other exclusive CPUs in its note."""
        return self._replace(note=self.note.with_allocated(allocated))

    def let_wait(self, decision: Decision, node: NodeState) -> Decision:
        """The decision without a memory limit that the container does not have yet; the reconciler writes it. The runtime would write it at
        once, and kill or throttle if more is in use. The reconciler checks that first, and then has it recorded.
        """
        for field in _BYTES_IN_USE:
            setting = decision.settings.get(field.name)
            if setting is None or setting.route != REPLY or is_stored(self.container.stored, setting, node):
                continue
            if field.name not in self.files or not agree(field, self.files[field.name], setting.value):
                decision = decision.with_settings({field.name: setting._replace(route=WRITE)})
        return decision

    def note_if_sent(self, decision: Decision) -> Note | None:
        """The note to keep once the decision is sent; None when the container's annotation says the same."""
        note = self.note.followed_by(self.container.baseline, through_runtime(decision.settings.values()))
        return None if note == self.annotated else note

    def note_if_unsent(self) -> Note | None:
        """The note to keep when nothing is sent; None when the container's annotation says the same."""
        note = self.note.followed_by(self.container.baseline, {})
        return None if note == self.annotated else note

    def stored_of_ours(self, node: NodeState) -> Sent:
        """The values of ours that the runtime has stored, when nothing is sent."""
        found = stored_of_ours(self.container.stored, node, self.ours)
        return {name: (value, REPLY) for name, value in found.items()}
