"""What plugins changed: one event, as two taps with the plugins between them saw it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from koordnri.cli.tap.tap import Seen

MOST_KEPT = 1000
"""Most events of which one tap's view is kept: another tap may have come later, and never see them."""


class Change(NamedTuple):
    """One value that is another one. None: it is not there."""

    path: str
    old: Any
    new: Any


class Differences(NamedTuple):
    """What the plugins with an index between two taps made of one event."""

    method: str
    pod: str
    """NAMESPACE/NAME"""
    container: str
    """"" for an event of the pod"""
    above: str
    """index of the tap before those plugins"""
    below: str
    """index of the tap behind them"""
    changes: tuple[Change, ...]


class Comparison:
    """Keeps what the last tap saw of each event until the next one has seen it."""

    def __init__(self, indices: list[str]) -> None:
        """`indices`: of all taps, ascending."""
        self._first, self._last = indices[0], indices[-1]
        self._before: dict[tuple[str, str, str], tuple[str, dict[str, Any]]] = {}

    def see(self, seen: Seen) -> Differences | None:
        """Take what a tap saw. Returns the differences to what the one before it saw; None for the first, and for Synchronize."""
        message: Any = seen.message
        names = message.DESCRIPTOR.fields_by_name
        if "pod" not in names:
            return None
        container = message.container if "container" in names else None
        key = (seen.method, message.pod.id, "" if container is None else container.id)
        before = self._before.pop(key, None)
        now = plain(message)
        if seen.at != self._last:
            self._before[key] = (seen.at, now)
            if len(self._before) > MOST_KEPT:
                self._before.pop(next(iter(self._before)))
        if before is None or seen.at == self._first:
            return None
        pod, name = f"{message.pod.namespace}/{message.pod.name}", "" if container is None else container.name
        return Differences(seen.method, pod, name, before[0], seen.at, tuple(_changes("", before[1], now)))


def plain(message: Message) -> dict[str, Any]:
    """The message as mappings and lists, with NRI's own names."""
    return MessageToDict(message, preserving_proto_field_name=True)


def _changes(path: str, old: Any, new: Any) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _changes(f"{path}.{key}" if path else key, old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _of_lists(path, old, new)
    elif isinstance(old, Mapping | list) or isinstance(new, Mapping | list):
        # One of them is missing: its parts came or went, each under its own path.
        empty: Any = [] if isinstance(old, list) or isinstance(new, list) else {}
        yield from _changes(path, empty if old is None else old, empty if new is None else new)
    else:
        yield Change(path, old, new)


def _of_lists(path: str, old: list[Any], new: list[Any]) -> Iterator[Change]:
    """Entries that came or went; lists of NRI have no order that means anything, except arguments."""
    for entry in old:
        if entry not in new:
            yield Change(path, entry, None)
    for entry in new:
        if entry not in old:
            yield Change(path, None, entry)
    if all(entry in new for entry in old) and all(entry in old for entry in new):
        yield Change(path, old, new)
