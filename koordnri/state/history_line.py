"""One change of one field, and its line in the history."""

from __future__ import annotations

from typing import Any

import msgspec

from koordnri.model.plain import plain_value

MOST_CHARACTERS = 300
"""of one text in a line"""


class HistoryLine(msgspec.Struct, gc=False, omit_defaults=True, rename={"kube_class": "class", "time_s": "time"}):
    """One change of one field. Its JSON is a line of the history."""

    n: int
    """number, growing over restarts too"""
    time_s: float
    """Unix time"""
    namespace: str
    pod: str
    field: str
    """with its key"""
    cause: str
    """one of `Cause`"""
    container: str = ""
    """"" for a pod's own cgroup"""
    kube_class: str = ""
    """name of a cgroup above the pods, which has no pod"""
    old: Any = None
    """in the field's unit; None: nothing, or unknown"""
    new: Any = None
    """with the cause `refused`: what was wanted"""
    detail: str = ""
    """more about the cause: the revisions, the neighbour, who overwrote it, the error"""
    hook: str = ""
    reason: str = ""
    """why the hook wants this value"""
    revision: str = ""
    """of the policy"""


_ENCODER = msgspec.json.Encoder(enc_hook=str)
_DECODER = msgspec.json.Decoder(HistoryLine)


def encode(change: HistoryLine) -> bytes:
    """Its line, without the line end."""
    return _ENCODER.encode(change)


def read(line: bytes) -> HistoryLine | None:
    """The change in a line; None for a line that was cut off or that somebody else wrote."""
    try:
        return _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def mark_of(pod: str) -> bytes:
    """Text that every line about a pod of this name contains. Lines without it need not be decoded."""
    return b'"pod":' + msgspec.json.encode(cut(pod))


def cut(text: str) -> str:
    """The text, with a bounded length."""
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "…"


def plain(value: Any) -> Any:
    """A field's value in JSON, with bounded texts."""
    kind = type(value)
    if value is None or kind is int:
        return value
    if kind is str:
        return cut(value)
    simple = plain_value(value)
    if simple is None or isinstance(simple, int | float):
        return simple
    if isinstance(simple, str):
        return cut(simple)
    return simple if len(text := str(simple)) <= MOST_CHARACTERS else cut(text)
