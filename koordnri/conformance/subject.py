"""The plugin's process: started for each check, given a socket as its command line asks, ended after it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from koordnri.conformance.link import Link
from koordnri.conformance.violation import Violation

SOCKET, DIRECTORY = "{socket}", "{dir}"
"""Replaced in the command: the path of the runtime's socket; a directory of this start's own."""
_TAIL_BYTES = 2000


class Subject:
    """A context manager. Without `{socket}` in its command, it gets a connection as a file descriptor, as runtimes launch plugins."""

    def __init__(self, command: Sequence[str], patience_s: float) -> None:
        self.launched = not any(SOCKET in word for word in command)
        self.patience_s = patience_s
        self._command = command
        self._home = Path(tempfile.mkdtemp(prefix="koordnri-conformance-"))
        self._listener: socket.socket | None = None
        self._ours: socket.socket | None = None
        self._links: list[Link] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def path(self) -> Path:
        """Of the runtime's socket."""
        return self._home / "nri.sock"

    def start(self, *, listen: bool = True) -> None:
        """Start the plugin. `listen`: False when somebody else listens at `path`. Raises OSError."""
        own, environment = self._home / "own", dict(os.environ)
        own.mkdir(exist_ok=True)
        words = [w.replace(SOCKET, str(self.path)).replace(DIRECTORY, str(own)) for w in self._command]
        passed: tuple[int, ...] = ()
        theirs = None
        if self.launched:
            self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            passed = (theirs.fileno(),)
            environment |= {
                "NRI_PLUGIN_NAME": "subject",
                "NRI_PLUGIN_IDX": "10",
                "NRI_PLUGIN_SOCKET": str(theirs.fileno()),
            }
        elif listen:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(str(self.path))
            self._listener.listen()
        with (self._home / "output").open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  # the user names it
                words, env=environment, pass_fds=passed, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        if theirs is not None:
            theirs.close()

    def link(self) -> Link:
        """The plugin's next connection. Raises Violation when it makes none."""
        if self._ours is not None:
            sock, self._ours = self._ours, None
        elif self._listener is None:
            raise Violation("expected another connection, a launched plugin has one only")
        else:
            self._listener.settimeout(self.patience_s)
            try:
                sock = self._listener.accept()[0]
            except TimeoutError:
                raise Violation(f"expected it to connect within {self.patience_s:g} s, it did not") from None
        self._links.append(Link(sock, self.patience_s))
        return self._links[-1]

    def comes_back_or_ends(self) -> bool:
        """Whether it makes another connection or ends, within the patience."""
        deadline_s = time.monotonic() + self.patience_s
        while time.monotonic() < deadline_s:
            if self._process is not None and self._process.poll() is not None:
                return True
            if self._listener is not None:
                self._listener.settimeout(0.05)
                with contextlib.suppress(TimeoutError):
                    self._links.append(Link(self._listener.accept()[0], self.patience_s))
                    return True
            else:
                time.sleep(0.05)
        return False

    def terminate(self) -> bool:
        """Send SIGTERM. Returns whether it ends within the patience."""
        if self._process is None:
            return True
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self.patience_s)
            return True
        return False

    def tail(self) -> str:
        """The end of what it printed."""
        output = self._home / "output"
        return output.read_bytes()[-_TAIL_BYTES:].decode(errors="replace") if output.exists() else ""

    def __enter__(self) -> Subject:
        return self

    def __exit__(self, *_: object) -> None:
        for link in self._links:
            link.close()
        for sock in (self._listener, self._ours):
            if sock is not None:
                sock.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._home, ignore_errors=True)
