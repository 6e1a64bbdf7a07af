"""What a pass reads besides the ledger."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.chain import Snapshot


class World(NamedTuple):
    """The node and the policy at one moment, and the runtime that runs the containers."""

    snapshot: Snapshot
    runtime: str
    """name of the runtime; the names of containers' cgroups depend on it"""
