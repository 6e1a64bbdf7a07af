"""Kubernetes Events, for people who use kubectl."""

from __future__ import annotations

from koordnri.model import Pod


class Events:
    """Without an API server it does nothing. No method blocks; any thread may call."""

    def warn_pod(self, pod: Pod, reason: str, message: str) -> None:
        """A Warning on a pod: something that its owner must know. `reason` is one CamelCase word."""

    def announce_pod(self, pod: Pod, reason: str, message: str) -> None:
        """A Normal Event on a pod: something is as it should be."""

    def warn_node(self, reason: str, message: str) -> None:
        """A Warning on this Node."""
