"""Since when a pod's fields have their values, from the decision history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from koordnri.answers.why import time_text
from koordnri.model import Pod
from koordnri.state.causes import Cause
from koordnri.state.history import History
from koordnri.state.history_line import HistoryLine, plain

Changes = Mapping[tuple[str, str], HistoryLine]
"""(container, "" for the pod's own cgroup; field) → its newest change"""


def newest_changes(history: History | None, pod: Pod) -> Changes:
    """The newest change of each field of a pod; empty when no history is kept."""
    found = () if history is None else history.of_pod(pod.namespace, pod.name)
    return {(change.container, change.field): change for change in found if change.cause != Cause.REFUSED}


def since(changes: Changes, container: str, field: str, value: Any) -> dict[str, Any]:
    """{"since": time in UTC, "cause"} of a field with this value; both are None when the history does not know."""
    change = changes.get((container, field))
    if change is None or value is None or change.new != plain(value):
        return {"since": None, "cause": None}
    return {"since": time_text(change.time_s), "cause": change.cause}
