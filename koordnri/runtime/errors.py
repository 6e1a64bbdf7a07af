"""What goes wrong on the runtime's side, and how much of it the caller of the CRI sees."""

from __future__ import annotations


class CRIError(Exception):
    """A CRI call failed, as kubelet would see it. `call` is its name, `text` what the runtime said."""

    def __init__(self, call: str, text: str) -> None:
        super().__init__(call, text)
        self.call = call
        self.text = text

    def __str__(self) -> str:
        return f"{self.call}: {self.text}"


class Conflict(Exception):
    """Two replies (or one, twice) set the same thing; the request they answer fails with this text."""


class SpecError(Exception):
    """The OCI runtime refuses the container, or the runtime cannot make its spec; the text names field and value."""


class PeerGone(Exception):
    """The plugin is not there any more, or has not answered in time: the runtime closes it and goes on without it."""

    def __init__(self, text: str, late: bool = False) -> None:
        super().__init__(text)
        self.late = late
        """it is connected, but the request timeout has passed"""
