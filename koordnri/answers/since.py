"""Since when a pod's fields have their values, from the decision history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from koordnri.answers.why import time_text
from koordnri.model import Pod
from koordnri.state.causes import Cause
from koordnri.state.history import History
from koordnri.state.history_line import HistoryLine, plain


class NewestChanges(NamedTuple):
    """By (container, "" for the pod's own cgroup; field)."""

    newest: Mapping[tuple[str, str], HistoryLine]
    """the last change"""
    refused: Mapping[tuple[str, str], HistoryLine]
    """what could not be written since"""


def newest_changes(history: History | None, pod: Pod) -> NewestChanges:
    """The newest change of each field of a pod; empty when no history is kept."""
    newest: dict[tuple[str, str], HistoryLine] = {}
    refused: dict[tuple[str, str], HistoryLine] = {}
    for change in () if history is None else history.of_pod(pod.namespace, pod.name):
        field = change.container, change.field
        if change.cause == Cause.REFUSED:
            refused[field] = change
        else:
            newest[field] = change
            refused.pop(field, None)
    return NewestChanges(newest, refused)


def since(changes: NewestChanges, container: str, field: str, value: Any) -> dict[str, Any]:
    """About a field with this value, from the history; None for what it does not know:

    since    when it got the value, in UTC
    cause    why then
    refused  why it could not be written
    """
    change, refusal = changes.newest.get((container, field)), changes.refused.get((container, field))
    wanted = None if value is None else plain(value)
    known = change is not None and wanted is not None and change.new == wanted
    return {
        "since": time_text(change.time_s) if change is not None and known else None,
        "cause": change.cause if change is not None and known else None,
        "refused": refusal.detail if refusal is not None and wanted is not None and refusal.new == wanted else None,
    }
