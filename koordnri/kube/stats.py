"""What a watch did, as plain numbers. Its thread writes them, the metrics read them."""

from __future__ import annotations

from dataclasses import dataclass, field

from koordnri.kube.restart import Restart


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
