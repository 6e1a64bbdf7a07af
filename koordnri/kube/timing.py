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
    """The server ends a watch after this time up to twice this, chosen at random as in client-go. So connections spread over the API
    servers again after one of them was down."""
    silence_s: float = 150.0
    """A watch without a line for this long counts as dead. The server sends a bookmark every minute, so two may be lost."""
    first_pause_s: float = 1.0
    """before the first retry; doubles with each failure in a row"""
    longest_pause_s: float = 30.0
    resume_spread_s: float = 5.0
    """When an API server ends, the watches of many nodes break at the same moment. Each waits a random part of this before it resumes at
    another server (5,000 nodes of which a third is affected: 1,300 requests per second)."""
    relist_spread_s: float = 10.0
    """After a compaction or restart the watches of all nodes list again at once, so each first waits a random part of this (5,000 nodes
    with four watches each: 2,000 lists per second)."""
    absent_s: float = 300.0
    """A kind that the API lacks (its CustomResourceDefinition is not installed) is asked for again after half of this up to all of it."""
    longest_retry_after_s: float = 300.0
    """Longest Retry-After that is honoured: a server's mistake must not silence us for ever."""
