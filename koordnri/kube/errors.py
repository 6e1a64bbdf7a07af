"""What goes wrong between us and the API server; whose fault it is, is in the type."""

from __future__ import annotations


class KubeError(Exception):
    """A request to the API server did not bring what it should. Temporary, unless it is NotConfigured at start."""


class NotConfigured(KubeError):
    """The operator's: there is no usable way to the API server. Names the file or variable and what is missing."""


class Unreachable(KubeError):
    """No HTTP answer: name resolution, connection, TLS, or no answer in time."""


class Refused(KubeError):
    """An answer that is no success, or an ERROR line in a watch.

    status          HTTP status, or the code in the ERROR line
    retry_after_s   how long the server asks us to stay away; None when it did not say
    """

    def __init__(self, what: str, status: int, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"{what}: the API server answered {status}: {message}")
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s


class Silent(KubeError):
    """The connection stands, but nothing came for too long."""


class Disconnected(KubeError):
    """The connection broke while an answer was being read."""


class Garbled(KubeError):
    """The answer is not what this request brings: HTML, half a JSON line, objects of another kind, too long."""


def excerpt(text: str | bytes | bytearray, length: int = 80) -> str:
    """The beginning of a strange answer, on one line, for an error message."""
    if not isinstance(text, str):
        text = bytes(text[: length * 4]).decode(errors="replace")
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 3] + "..."
