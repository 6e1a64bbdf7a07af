"""Keys from a terminal, one at a time and without Enter."""

from __future__ import annotations

import os
import select
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from koordnri.cli.demo.switches import QUIT

Pressed = str
"""a key; "" for none within the time"""


class Keys:
    """Made by `listening`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def pressed(self, timeout_s: float) -> Pressed:
        """The next key; "" when none comes within the time. A terminal that has gone counts as `QUIT`."""
        if not select.select([self._fd], [], [], timeout_s)[0]:
            return ""
        return os.read(self._fd, 1).decode(errors="replace").lower() or QUIT


@contextmanager
def listening(fd: int) -> Iterator[Keys]:
    """Within it the terminal gives each key at once, and does not show it. Ctrl-C stays what it is."""
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        yield Keys(fd)
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
