"""`GET /v1/why?pod=NAMESPACE/NAME&field=&container=`: how one field of a pod came to its value; without a field, the pod's last changes;
without a pod, the node's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from koordnri.model import fields
from koordnri.observe.questions import BadQuestion, NotHere, Parameters, checked
from koordnri.state.history import History
from koordnri.state.history_line import HistoryLine
from koordnri.state.ledger import Ledger

MOST_CHANGES = 500
"""in one answer, the newest"""
NO_HISTORY = "the daemon keeps no history: it runs with --history off"
_FIELDS = {field.name: field for field in fields.ALL}


def why(parameters: Parameters, history: History | None, ledger: Ledger) -> Mapping[str, Any]:
    """{"pod": null without one, "container", "field", "since", "problem", "lost", "more", "changes": [shape of `row`…]}, oldest first.

    since    time of the oldest change that is kept of any pod; None: nothing is kept yet
    problem  why the history is only in memory; "" otherwise
    lost     decisions and passes that the history lacks, because too many came at once
    more     whether older changes are kept that the answer leaves out

    Raises BadQuestion, NotHere.
    """
    given = checked(parameters, {"pod", "field", "container"})
    if history is None:
        raise NotHere(NO_HISTORY)
    if "pod" in given:
        return _answer(history, given, _of_pod(given, history, ledger))
    if given:
        raise BadQuestion('"field" and "container" belong to a pod: expected "pod", too')
    return _answer(history, given, history.last(MOST_CHANGES + 1))


def _of_pod(given: Parameters, history: History, ledger: Ledger) -> deque[HistoryLine]:
    namespace, slash, name = given["pod"].partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise BadQuestion(f'"pod": expected NAMESPACE/NAME such as shop/web-0, got "{given["pod"][:200]}"')
    field, container = given.get("field", ""), given.get("container", "")
    _check_field(field)
    found: deque[HistoryLine] = deque(maxlen=MOST_CHANGES + 1)
    containers = _containers(ledger, namespace, name)
    known = containers is not None
    names = set(containers or ())
    for change in history.of_pod(namespace, name):
        known = True
        names.add(change.container)
        if _matches(change.field, field) and container in ("", change.container):
            found.append(change)
    if not known:
        raise NotHere(f"no pod {given['pod'][:200]} runs on this node, and the history has none of this name")
    if container and container not in names:
        there = ", ".join(sorted(names - {""})) or "none"
        raise NotHere(f'pod {given["pod"][:200]} has no container "{container[:200]}"; there are {there}')
    return found


def _answer(history: History, given: Parameters, found: Sequence[HistoryLine]) -> Mapping[str, Any]:
    since_s = history.since_s()
    return {
        "pod": given.get("pod"),
        "container": given.get("container") or None,
        "field": given.get("field") or None,
        "since": None if since_s is None else time_text(since_s),
        "problem": history.problem,
        "lost": history.lost,
        "more": len(found) > MOST_CHANGES,
        "changes": [row(change) for change in list(found)[-MOST_CHANGES:]],
    }


def row(change: HistoryLine) -> Mapping[str, Any]:
    """A change in JSON: all keys of koordnri.state.history_line.HistoryLine, the time as text in UTC. Others use it for `History.last`."""
    shape: dict[str, Any] = msgspec.to_builtins(change)
    left_out: dict[str, Any] = {"container": "", "class": "", "old": None, "new": None}
    left_out |= dict.fromkeys(("detail", "hook", "reason", "revision"), "")
    return left_out | shape | {"time": time_text(change.time_s)}


def _check_field(name: str) -> None:
    """Raises NotHere for a field that no hook can set."""
    known = _FIELDS.get(name.partition("[")[0])
    if name and known is None:
        raise NotHere(f'unknown field "{name[:200]}"; there are {", ".join(sorted(_FIELDS))}')
    if known is not None and "[" in name and not (known.keyed and name.endswith("]")):
        raise NotHere(f'unknown field "{name[:200]}"; expected {known.named("KEY")}')


def _matches(name: str, wanted: str) -> bool:
    """Whether a field was asked for. A keyed field without its key stands for all of its keys."""
    return wanted in ("", name, name.partition("[")[0])


def _containers(ledger: Ledger, namespace: str, name: str) -> set[str] | None:
    """Names of the containers of a running pod; None when none of this name runs."""
    pods = [pod for pod in ledger.pods() if (pod.namespace, pod.name) == (namespace, name)]
    return {entry.name for pod in pods for entry in ledger.containers_of(pod.id)} if pods else None


def time_text(time_s: float) -> str:
    """Unix time in s as text in UTC."""
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
