"""A plugin that the runtime starts itself, with environment, file descriptors and name as containerd passes them (nri.md 3.7)."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
from pathlib import Path
from typing import Any

_NAME = re.compile(r"([0-9]{2})-(.+)", re.ASCII)
_FD = 3


class Launched:
    """The plugin's process. Runtimes end it by SIGKILL and do not start it again."""

    def __init__(self, path: Path) -> None:
        """Start `path`, whose name must be NN-name. Raises ValueError for another name, OSError when the start fails."""
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise ValueError(
                f'invalid plugin name "{path.name}": expected two digits, a dash and a name, such as 10-koordnri'
            )
        self.index, self.name = match[1], match[2]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket = ours
        environment = {
            "NRI_PLUGIN_NAME": self.name,
            "NRI_PLUGIN_IDX": self.index,
            "NRI_PLUGIN_SOCKET": str(_FD),
        }
        with theirs:
            actions: list[tuple[Any, ...]] = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), _FD)]
            actions += [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
            self.pid = os.posix_spawn(path, [str(path)], environment, file_actions=actions)
        self._ended: int | None = None

    def kill(self) -> None:
        """End it by SIGKILL, as a runtime does."""
        if self._ended is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def wait(self) -> int:
        """Wait until it ends. Returns its exit code, negative for a signal."""
        if self._ended is None:
            _, status = os.waitpid(self.pid, 0)
            self._ended = os.waitstatus_to_exitcode(status)
        return self._ended
