"""A container that exists already, with all that we know of whose its stored values are."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.ledger import Ledger
from koordnri.model import Container, Decision, Pod
from koordnri.model.difference import Ours, through_runtime
from koordnri.model.resources import BASELINE_KEY, Note
from koordnri.session.translate import container_from, note_of, resources_from
from koordnri.wire import views_pb2 as views


class Known(NamedTuple):
    """At an event or Synchronize; `of` puts it together."""

    container: Container
    note: Note
    """the newest that we have"""
    own: Note | None
    """what its annotation says; None when that says nothing, or nothing to be believed"""
    ours: Ours
    """every value that we know to have set"""

    @classmethod
    def of(cls, message: views.Container, pod: Pod, ledger: Ledger) -> Known:
        """The container as the runtime tells it, with the best baseline that we have of it."""
        # Where the pod's owner wrote our annotation himself, the runtime may have passed it on: do not believe it.
        own = None if BASELINE_KEY in pod.annotations else note_of(message)
        note = ledger.moved_note(message.id) or own or Note(resources_from(message.linux.resources))
        ours = [note.set]
        if own is not None and own is not note:
            ours.append(own.set)
        entry = ledger.container(message.id)
        if entry is not None:
            # A copy made at once: another thread adds what it has written.
            ours.append({name: value for name, (value, _) in dict(entry.decided).items()})
        return cls(container_from(message, note), note, own, ours)

    def moved(self, decision: Decision) -> Note | None:
        """The note to keep once the decision is sent; None when the container's annotation says the same."""
        note = self.note.followed_by(self.container.baseline, through_runtime(decision))
        return None if note == self.own else note
