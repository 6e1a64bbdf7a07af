"""A container that exists already, with all that we know of whose its stored values are."""

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

_BYTES_IN_USE = tuple(field for field in ALL if field.writing is Writing.BYTES_IN_USE)
Sent = dict[str, tuple[Any, str]]
"""`Entry.sent`"""


class Known(NamedTuple):
    """At an event or Synchronize; `of` puts it together."""

    container: Container
    note: Note
    """the newest that we have"""
    own: Note | None
    """what its annotation says; None when that says nothing, or nothing to be believed"""
    ours: Ours
    """every value that we know to have set"""
    files: Mapping[str, Any]
    """name of the field → what its file had when the reconciler looked last"""

    @classmethod
    def of(cls, message: views.Container, pod: Pod, ledger: Ledger, node: NodeState) -> Known:
        """The container as the runtime tells it, with the best baseline that we have of it."""
        # Where the pod's owner wrote our annotation himself, the runtime may have passed it on: do not believe it.
        own = None if BASELINE_KEY in pod.annotations else note_of(message)
        note = ledger.moved_note(message.id) or own or Note(resources_from(message.linux.resources))
        ours: list[Mapping[str, Any]] = list(note.ours)
        if own is not None and own is not note:
            ours.append(own.set)
        entry, files = ledger.container(message.id), {}
        if entry is not None:
            files = dict(entry.files)
            # A copy made at once: another thread adds what it has written.
            ours.append({name: value for name, (value, _) in dict(entry.sent).items()})
        container = container_from(message, note)
        if note.maybe:
            note = note.seen(stored_of_ours(container.stored, node, ours))
        return cls(container, note, own, ours, files)

    def owning(self, own: Allocated) -> Known:
        """The same, with other exclusive CPUs noted."""
        return self._replace(note=self.note.owning(own))

    def let_wait(self, decision: Decision, node: NodeState) -> Decision:
        """The decision, with what the container does not have yet of a memory limit left to the reconciler. The runtime would write it
        at once, and kill or throttle where more is in use; the reconciler looks first, and has it recorded afterwards.
        """
        for field in _BYTES_IN_USE:
            setting = decision.settings.get(field.name)
            if setting is None or setting.route != REPLY or is_stored(self.container.stored, setting, node):
                continue
            if field.name not in self.files or not agree(field, self.files[field.name], setting.value):
                decision = decision.with_settings({field.name: setting._replace(route=WRITE)})
        return decision

    def moved(self, decision: Decision) -> Note | None:
        """The note to keep once the decision is sent; None when the container's annotation says the same."""
        note = self.note.followed_by(self.container.baseline, through_runtime(decision.settings.values()))
        return None if note == self.own else note

    def unmoved(self) -> Note | None:
        """The note to keep when nothing is sent; None when the container's annotation says the same."""
        note = self.note.followed_by(self.container.baseline, {})
        return None if note == self.own else note

    def stored_of_ours(self, node: NodeState) -> Sent:
        """What the runtime has of ours when nothing is sent."""
        found = stored_of_ours(self.container.stored, node, self.ours)
        return {name: (value, REPLY) for name, value in found.items()}
