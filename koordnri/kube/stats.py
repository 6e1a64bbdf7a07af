"""What a watch did, as plain numbers. Its thread writes them, the metrics read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Restart(StrEnum):
    """Why a watch had to restart. A small fixed set, since it labels a metric."""

    ENDED = "ended"
    """the server's own time limit; normal"""
    EXPIRED = "expired"
    """410: the server has compacted our version; all objects are listed again"""
    THROTTLED = "throttled"
    """429, or another error status with a Retry-After"""
    UNAUTHORIZED = "unauthorized"
    """401: the credentials were loaded again"""
    ABSENT = "absent"
    """404: the API has no such kind (yet); only for optional kinds"""
    FORBIDDEN = "forbidden"
    """403: RBAC"""
    REFUSED = "refused"
    """another error status"""
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    DISCONNECTED = "disconnected"
    GARBLED = "garbled"
    """no JSON, half a line, objects of another kind"""
    CREDENTIALS = "credentials"
    """on our side: the token or certificate could not be read"""


@dataclass(slots=True)
class WatchStats:
    """Counters since the start."""

    lists: int = 0
    events: int = 0
    """added, modified and deleted lines"""
    bookmarks: int = 0
    unusable: int = 0
    """listed objects that were left out, because a field has a wrong type"""
    restarts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Restart, 0))
    problem: str = ""
    """why the watch is down; "" while it is up"""
