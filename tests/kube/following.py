"""A daemon that follows a ConfigMap."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.daemon import Daemon


class FollowingDaemon(Daemon):
    """A daemon that has its policy from the ConfigMap instead of a file."""

    def __init__(self, nri_socket: Path, work: Path, configmap: tuple[str, str], kubeconfig: Path) -> None:
        arguments = ["--policy-configmap", "/".join(configmap), "--kubeconfig", str(kubeconfig)]
        super().__init__(nri_socket, work, arguments=arguments)
        at = self._command.index("--policy-file")
        del self._command[at : at + 2]
