"""How long the watches wait for what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """All in seconds."""

    connect_s: float = 5.0
    """for the connection and the TLS handshake"""
    answer_s: float = 30.0
    """for a whole list, or for the first line of an answer"""
    watch_s: float = 300.0
    """The server ends a watch after this up to twice this, chosen at random as client-go does: connections spread over the API
    servers again after one of them was away."""
    silence_s: float = 150.0
    """A watch without any line for so long is taken for dead. The server sends a bookmark every minute, so two may be lost."""
    first_pause_s: float = 1.0
    """before the first retry; doubles with each failure in a row"""
    longest_pause_s: float = 30.0
    relist_spread_s: float = 10.0
    """A compaction or restart sends all nodes' watches back to list at once: each waits a random part of this first
    (5,000 nodes: 500 lists a second)."""
    absent_s: float = 300.0
    """A kind that the API does not have (its CustomResourceDefinition is not installed) is asked for again after a half up to all of
    this."""
    longest_retry_after_s: float = 300.0
    """A server that asks for more is not believed: it could silence us for ever by mistake."""
