"""Faults at the system calls of this process: the one place where files, sockets and the clock of the whole daemon can be disturbed.

    calls = SystemCalls({"cgroup": root / "sys/fs/cgroup", "state": state}, {"nri": nri_socket}, trash)
    with calls:
        calls.arm(Fault("cgroup.write", errno.EBUSY))
        ...
    calls.struck                                              → ["cgroup.write: EBUSY"]

A point is the name of a directory or a connection and what is done there, or `clock`. Without `with`, nothing is
replaced, and the daemon's code knows nothing of this.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

VANISH_BEFORE, VANISH_AFTER = -1, -2
"""instead of an errno: the cgroup of the file is removed, before the call or after it; only below a pod's cgroup"""
_POD = "/poduid-"
CLOCK = "clock"


Address = Path | tuple[str, int]


class Fault(NamedTuple):
    """What happens at a point.

    what    errno, or VANISH_BEFORE or VANISH_AFTER; of the clock: seconds by which it jumps
    after   calls at that point that succeed first
    times   calls that fail then
    """

    point: str
    what: int
    after: int = 0
    times: int = 1

    def __str__(self) -> str:
        names = {VANISH_BEFORE: "vanished before", VANISH_AFTER: "vanished after"}
        return f"{self.point}: {names.get(self.what) or errno.errorcode.get(self.what, self.what)}"


class SystemCalls:
    """Use it as a context manager; one at a time. The thread that does so is not disturbed, nor is the embedded runtime.

    directories   name → directory whose files are disturbed; the first that has a path counts
    servers       name → path of a socket, or (host, port): connections to it are disturbed
    trash         where cgroups go that vanish, on the same file system
    """

    def __init__(self, directories: Mapping[str, Path], servers: Mapping[str, Address], trash: Path) -> None:
        self.struck: list[str] = []
        """faults that happened"""
        self._directories = {name: f"{path}/" for name, path in directories.items()}
        self._servers = {address if isinstance(address, tuple) else str(address): n for n, address in servers.items()}
        self._trash = trash
        self._armed: list[Fault] = []
        self._lock = threading.Lock()
        self._of_fd: dict[int, tuple[str, str, Any]] = {}
        """descriptor → (name of its directory, path, which file it is: not every close is seen, and numbers return)"""
        self._connections: weakref.WeakKeyDictionary[socket.socket, str] = weakref.WeakKeyDictionary()
        """connection → name of its server"""
        self._restore: list[tuple[Any, str, Any]] = []
        self._ahead_s = 0.0
        self._test = threading.get_ident()

    def arm(self, *faults: Fault) -> None:
        """From now on. A jump of the clock happens at once."""
        with self._lock:
            for fault in faults:
                if fault.point == CLOCK:
                    self._ahead_s += fault.what
                    self.struck.append(f"{CLOCK}: {fault.what} s")
                else:
                    self._armed.append(fault)

    def disarm(self) -> None:
        """No fault happens any more. The clock keeps its jumps."""
        with self._lock:
            self._armed.clear()

    def __enter__(self) -> Self:
        for name, wrapper in (
            ("open", self._open),
            ("read", self._on_fd("read")),
            ("write", self._on_fd("write")),
            ("fsync", self._on_fd("fsync")),
            ("close", self._close),
            ("scandir", self._on_path("list")),
            ("replace", self._on_path("rename")),
        ):
            self._replace(os, name, wrapper)
        for name, what in (("connect", "connect"), ("sendall", "send"), ("recv", "recv"), ("recv_into", "recv")):
            self._replace(socket.socket, name, self._on_socket(what))
        self._replace(time, "time", lambda now: now() + self._ahead_s)
        return self

    def __exit__(self, *_: object) -> None:
        while self._restore:
            owner, name, original = self._restore.pop()
            setattr(owner, name, original)

    def _replace(self, owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
        original = getattr(owner, name)
        self._restore.append((owner, name, original))

        def replaced(*args: Any, **keywords: Any) -> Any:
            return wrapper(original, *args, **keywords)

        setattr(owner, name, replaced)

    # -- the calls ----------------------------------------------------------------------------------------------------

    def _open(self, call: Callable[..., int], path: Any, *args: Any, **keywords: Any) -> int:
        name, text = self._place(path)
        fd = self._struck_or(f"{name}.open", text, call, path, *args, **keywords)
        if name:
            self._of_fd[fd] = (name, text, os.fstat(fd)[:3])
        return int(fd)

    def _close(self, call: Callable[[int], None], fd: int) -> None:
        self._of_fd.pop(fd, None)
        call(fd)

    def _on_fd(self, what: str) -> Callable[..., Any]:
        def wrapper(call: Callable[..., Any], fd: int, *args: Any) -> Any:
            name, path, file = self._of_fd.get(fd, ("", "", None))
            if file is not None and os.fstat(fd)[:3] != file:
                name = ""
            return self._struck_or(f"{name}.{what}", path, call, fd, *args)

        return wrapper

    def _on_path(self, what: str) -> Callable[..., Any]:
        def wrapper(call: Callable[..., Any], path: Any = ".", *args: Any, **keywords: Any) -> Any:
            name, text = self._place(path)
            return self._struck_or(f"{name}.{what}", text, call, path, *args, **keywords)

        return wrapper

    def _on_socket(self, what: str) -> Callable[..., Any]:
        def wrapper(call: Callable[..., Any], sock: socket.socket, *args: Any) -> Any:
            if what == "connect" and (server := self._servers.get(args[0])) is not None:
                self._connections[sock] = server
            before = len(self.struck)
            try:
                return self._struck_or(f"{self._connections.get(sock, '')}.{what}", "", call, sock, *args)
            except OSError:
                if len(self.struck) > before:  # the other end sees it, too
                    with contextlib.suppress(OSError):
                        sock.shutdown(socket.SHUT_RDWR)
                raise

        return wrapper

    def _place(self, path: Any) -> tuple[str, str]:
        text = os.fspath(path) if not isinstance(path, int) else ""
        text = text.decode() if isinstance(text, bytes) else text
        for name, directory in self._directories.items():
            if text.startswith(directory):
                return name, text
        return "", text

    def _struck_or(self, point: str, path: str, call: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        fault = None if point[0] == "." or self._is_exempt() else self._due(point, path)
        if fault is None:
            return call(*args, **keywords)
        if fault.what == VANISH_BEFORE:
            self._remove(path)
            return call(*args, **keywords)
        if fault.what == VANISH_AFTER:
            result = call(*args, **keywords)
            self._remove(path)
            return result
        raise OSError(fault.what, f"{os.strerror(fault.what)}, as the test ordered", path or None)

    def _is_exempt(self) -> bool:
        return threading.get_ident() == self._test or threading.current_thread().name.startswith("runtime-")

    def _due(self, point: str, path: str) -> Fault | None:
        with self._lock:
            for i, fault in enumerate(self._armed):
                if fault.point != point or (fault.what < 0 and _POD not in path):
                    continue
                if fault.after:
                    self._armed[i] = fault._replace(after=fault.after - 1)
                    continue
                if fault.times > 1:
                    self._armed[i] = fault._replace(times=fault.times - 1)
                else:
                    del self._armed[i]
                self.struck.append(str(fault))
                return fault
        return None

    def _remove(self, path: str) -> None:
        """The cgroup of a file, at once, as the runtime does it."""
        with contextlib.suppress(FileNotFoundError):  # another fault, or the test, was first
            os.rename(os.path.dirname(path), os.path.join(tempfile.mkdtemp(dir=self._trash), "cgroup"))
