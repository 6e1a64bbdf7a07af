"""Errors on the runtime's side, and how much of each a CRI client sees."""

from __future__ import annotations

from koordnri.wire.errors import Code, RemoteStatus


class CRIError(Exception):
    """A CRI call failed, as kubelet would see it. `call` is its name, `text` the runtime's message."""

    def __init__(self, call: str, text: str) -> None:
        super().__init__(call, text)
        self.call = call
        self.text = text

    def __str__(self) -> str:
        return f"{self.call}: {self.text}"


class Conflict(Exception):
    """Two replies, or one reply twice, set the same thing. The request that they answer fails with this text."""


class SpecError(Exception):
    """The OCI runtime refuses the container, or the runtime cannot make its spec. The text names field and value."""


class PeerGone(Exception):
    """The plugin is disconnected or has not answered in time. What follows depends on its failure policy; without one the runtime closes it
    and continues without it.
    """

    def __init__(self, text: str, late: bool = False) -> None:
        super().__init__(text)
        self.late = late
        """whether it is still connected and the request timeout has passed"""

    @property
    def cause(self) -> str:
        """The reason in the words of Go's adaptation."""
        return "context deadline exceeded" if self.late else "ttrpc: closed"


class Undecodable(RemoteStatus):
    """A plugin's reply is no message of its type. To a runtime that is an error of the event, not of the connection."""


def status_text(status: RemoteStatus) -> str:
    """A plugin's error as Go prints it. kubelet and people who search for it see this text."""
    if isinstance(status, Undecodable):
        return "proto: cannot parse invalid wire-format data"
    known = status.code in Code.__members__.values()
    name = Code(status.code).name.title().replace("_", "") if known else f"Code({status.code})"
    return f"rpc error: code = {name} desc = {status.text}"
