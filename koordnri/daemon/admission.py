"""Decides which of several daemons may register on the node: the one with the lock. It also gets the control socket."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from koordnri.daemon.config import Config
from koordnri.daemon.control import Operator
from koordnri.model.log import Log
from koordnri.observe.control import ControlServer
from koordnri.observe.questions import Question
from koordnri.state.lock import NodeLock

RETRY_S = 30.0
"""s between attempts to make the control socket, since a state directory may be repaired."""


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
        log: Log,
    ) -> None:
        self.is_admitted = False
        self.lock = NodeLock(config.state_dir)
        self.control_problem = ""
        """why there is no control socket; "" when there is one"""
        self._state_dir = config.state_dir
        self._operator = operator
        self._questions = questions
        self._admitted = admitted
        self._log = log
        self._control: ControlServer | None = None
        self._try_at_s = 0.0

    def seek(self) -> bool:
        """Take the lock if it is free, and make the control socket, which may come later. Returns whether we have the lock."""
        if not self.is_admitted and self.lock.try_acquire():
            self.is_admitted = True
            self._admitted()
            if self.lock.problem:
                self._log.error("node_not_locked", error=self.lock.problem)
        if self.is_admitted and self._control is None and time.monotonic() >= self._try_at_s:
            self._open_control()
        return self.is_admitted

    def close_control(self) -> None:
        """Stop serving the control socket."""
        if self._control is not None:
            self._control.close()

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
            self._try_at_s = time.monotonic() + RETRY_S
