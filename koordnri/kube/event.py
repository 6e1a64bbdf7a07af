"""One Kubernetes Event: the object that it is about, and its JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

MAX_MESSAGE = 1024
"""characters of an Event's message"""

Kind = Literal["Warning", "Normal"]


class Target(NamedTuple):
    """The object that an Event is about."""

    kind: str
    namespace: str
    """"" for a Node"""
    name: str
    uid: str


def pod_target(namespace: str, name: str, uid: str) -> Target:
    """A pod."""
    return Target("Pod", namespace, name, uid)


def node_target(name: str) -> Target:
    """A Node. kubelet puts the name into the uid field, and `kubectl describe node` searches for that."""
    return Target("Node", "", name, name)


def events_path(target: Target) -> str:
    """The path of all Events in the namespace where those of this object live."""
    return f"/api/v1/namespaces/{quote(_namespace(target), safe='')}/events"


def event_body(target: Target, name: str, kind: Kind, reason: str) -> dict[str, Any]:
    """The part of an Event that stays the same when it is repeated."""
    involved = {
        "apiVersion": "v1",
        "kind": target.kind,
        "namespace": target.namespace,
        "name": target.name,
        "uid": target.uid,
    }
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": _namespace(target)},
        "involvedObject": {k: v for k, v in involved.items() if v},
        "reason": reason,
        "type": kind,
    }


def shortened(text: str) -> str:
    """A message, at most MAX_MESSAGE characters of it."""
    text = text.encode(errors="replace").decode()  # a file name that is no UTF-8, as os.fsdecode spells it
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 3] + "..."


def timestamp(unix_s: float) -> str:
    """A time as the API server writes it, in UTC and whole seconds."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _namespace(target: Target) -> str:
    """Where the Event lives: in its object's namespace, or in `default` for a Node."""
    return target.namespace or "default"
