"""Errors between us and the API server. The type says whose fault it is."""

from __future__ import annotations


class KubeError(Exception):
    """A request to the API server failed. Temporary, except NotConfigured at start."""


class NotConfigured(KubeError):
    """The operator's fault: there is no usable way to the API server. The message names the file or variable and what is missing."""


class Unreachable(KubeError):
    """No HTTP answer: name resolution, connection or TLS failed, or no answer came in time."""


class ApiRefused(KubeError):
    """The API server answered with an error status, or with an ERROR line in a watch.

    status          HTTP status, or the code in the ERROR line
    retry_after_s   how long (s) the server asks us to wait; None when it named no time
    """

    def __init__(self, what: str, status: int, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"{what}: the API server answered {status}: {message}")
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s


class Silent(KubeError):
    """The connection is open, but nothing arrived for too long."""


class Disconnected(KubeError):
    """The connection broke while the answer was read."""


class Garbled(KubeError):
    """The answer does not fit the request: HTML, half a line of JSON, objects of another kind, too long."""


def excerpt(text: str | bytes | bytearray, length: int = 80) -> str:
    """The beginning of an unexpected answer, on one line, for an error message."""
    if not isinstance(text, str):
        text = bytes(text[: length * 4]).decode(errors="replace")
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 3] + "..."
