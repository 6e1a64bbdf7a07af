"""What a watch did, as plain numbers: written by its thread, read by the metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Restart(StrEnum):
    """Why a watch had to begin again. A fixed set, since it labels a metric."""

    ENDED = "ended"
    """the server's own time limit; harmless"""
    EXPIRED = "expired"
    """410: the version we hold is compacted away, all objects are listed again"""
    THROTTLED = "throttled"
    """429, or another refusal with a Retry-After"""
    UNAUTHORIZED = "unauthorized"
    """401: credentials were loaded again"""
    ABSENT = "absent"
    """404: the API has no such kind (yet); only of kinds that need not be there"""
    FORBIDDEN = "forbidden"
    """403: RBAC"""
    REFUSED = "refused"
    """another status that is no success"""
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    DISCONNECTED = "disconnected"
    GARBLED = "garbled"
    """no JSON, half a line, objects of another kind"""
    CREDENTIALS = "credentials"
    """our own: the token or certificate could not be read"""


@dataclass(slots=True)
class WatchStats:
    """Counters since the start."""

    lists: int = 0
    events: int = 0
    """added, modified and deleted lines"""
    bookmarks: int = 0
    unusable: int = 0
    """listed objects that were left out because a field of theirs has a wrong type"""
    restarts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Restart, 0))
    problem: str = ""
    """why the watch is not up right now; "" while it is"""
