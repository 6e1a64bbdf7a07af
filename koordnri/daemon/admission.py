"""Decides which of several daemons may register on the node: the one with both locks. It also gets the control socket.

One lock is in the state directory, whose files it guards, too. The other is of the NRI socket: two daemons with different state
directories would otherwise both register, and the runtime would refuse every container that both adjust.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from koordnri.daemon.config import Config, ConfigError
from koordnri.daemon.control import Operator
from koordnri.daemon.events import Events
from koordnri.model.log import Log
from koordnri.observe.control import ControlServer
from koordnri.observe.questions import Question
from koordnri.state.lock import NodeLock
from koordnri.state.socket_lock import SocketLock

RETRY_S = 30.0
"""s between attempts to make the control socket, since a state directory may be repaired."""
PATIENCE_S = 30.0
"""s that another daemon may hold a lock before it is reported: one that is being replaced ends in the meantime"""
SECOND = "SecondKoordnri"
"""reason of the Event"""


class SecondDaemonError(ConfigError):
    """Another daemon came to the same NRI socket while neither could lock it."""


class Admission:
    """Used by the main thread, except where noted.

    questions  the control socket answers them, too
    admitted   called once, when we have the lock
    """

    def __init__(
        self,
        config: Config,
        operator: Operator,
        questions: Mapping[str, Question],
        admitted: Callable[[], None],
        events: Events,
        log: Log,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.is_admitted = False
        self.held_elsewhere: Path | None = None
        """what another daemon holds; None: nothing"""
        self.lock = NodeLock(config.state_dir)
        # A runtime that launches us does so once, and its connection needs no socket.
        self._socket = SocketLock(Path(config.nri_socket)) if config.identity.fd is None else None
        self.control_problem = ""
        """why there is no control socket; "" when there is one"""
        self._state_dir = config.state_dir
        self._operator = operator
        self._questions = questions
        self._admitted = admitted
        self._events = events
        self._log = log
        self._clock = clock
        self._refused_at_s: float | None = None
        self._control: ControlServer | None = None
        self._try_at_s = 0.0

    def seek(self) -> bool:
        """Take the locks if they are free, and make the control socket, which may come later. Returns whether we may register.

        Raises SecondDaemonError when another daemon has the socket's lock, which could not be taken before because there was no directory.
        """
        if not self.is_admitted:
            self._seek_locks()
        elif self._socket is not None and not self._socket.try_acquire():
            raise SecondDaemonError(
                f"another koordnri holds {self._socket.path}: stop it, only one may be registered on a node"
            )
        if self.is_admitted and self._control is None and self._clock() >= self._try_at_s:
            self._open_control()
        return self.is_admitted

    def release(self) -> None:
        """Release the locks."""
        self.lock.release()
        if self._socket is not None:
            self._socket.release()

    def close_control(self) -> None:
        """Stop serving the control socket."""
        if self._control is not None:
            self._control.close()

    def _seek_locks(self) -> None:
        if not self.lock.try_acquire():
            self._refused(self.lock.path)
        elif self._socket is not None and not self._socket.try_acquire():
            self._refused(self._socket.path)
        else:
            self.is_admitted, self.held_elsewhere = True, None
            self._admitted()
            if self.lock.problem:
                self._log.error("node_not_locked", error=self.lock.problem)

    def _refused(self, path: Path) -> None:
        now_s = self._clock()
        if self.held_elsewhere is None:
            self.held_elsewhere, self._refused_at_s = path, now_s
        elif self._refused_at_s is not None and now_s >= self._refused_at_s + PATIENCE_S:
            self._refused_at_s = None
            text = f"another koordnri holds {path}, and only one may be registered on a node: stop one of them"
            self._log.warning("second_koordnri", path=str(path))
            self._events.warn_node(SECOND, text)

    def _open_control(self) -> None:
        if self.lock.problem:
            self.lock.try_acquire()
        try:
            self._control = ControlServer(self._state_dir, self._operator, self._questions)
            self.control_problem = ""
        except OSError as error:
            if not self.control_problem:
                self._log.error("no_control_socket", error=str(error))
            self.control_problem = str(error)
            self._try_at_s = self._clock() + RETRY_S
