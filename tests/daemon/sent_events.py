"""Events that a test can read."""

from __future__ import annotations

from koordnri.daemon.events import Events
from koordnri.model import Pod


class SentEvents(Events):
    """Keeps (name of the pod, reason, message) of each; those of what is as it should be only if `announced`."""

    def __init__(self, seen: list[tuple[str, str, str]], *, announced: bool = False) -> None:
        self._seen = seen
        self._announced = announced
        self.of_node: list[tuple[str, str]] = []
        """(reason, message)"""

    def warn_pod(self, pod: Pod, reason: str, message: str) -> None:
        self._seen.append((pod.name, reason, message))

    def announce_pod(self, pod: Pod, reason: str, message: str) -> None:
        if self._announced:
            self.warn_pod(pod, reason, message)

    def warn_node(self, reason: str, message: str) -> None:
        self.of_node.append((reason, message))
