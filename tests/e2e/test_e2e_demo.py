"""`koordnri demo isolation` on a real containerd, in a real terminal device."""

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.e2e import command, lab
from tests.e2e.containerd import Containerd
from tests.e2e.kubelet import Kubelet

# Its batch work leaves little CPU to the demo itself, and to us.
pytestmark = [pytest.mark.full, pytest.mark.timeout(400)]
PATIENCE_S = 100.0
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Terminal:
    """A program in a terminal, and what it has printed since the last question."""

    def __init__(self, arguments: list[str]) -> None:
        self._user, program = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "150", "LINES": "40"}
        self.process = subprocess.Popen(
            [*command.COMMAND, *arguments], stdin=program, stdout=program, stderr=program, env=environment
        )
        os.close(program)

    def press(self, key: str) -> None:
        os.write(self._user, key.encode())

    def until(self, seen: Callable[[str], bool]) -> str:
        """What it prints until that holds of it."""
        text, end = "", time.monotonic() + PATIENCE_S
        while not seen(text):
            assert time.monotonic() < end, text[-3000:]
            if select.select([self._user], [], [], 0.5)[0]:
                try:
                    text += os.read(self._user, 1 << 16).decode(errors="replace")
                except OSError:  # the program has ended
                    break
        return text

    def close(self) -> None:
        """A program that is asked to end removes its pods, whose batch work would take the node's CPUs from all tests to come."""
        try:
            self.process.terminate()
            self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self._user)


def test_a_key_switches_a_setting_of_running_pods_and_at_the_end_nothing_is_left(
    runtime: Containerd, kubelet: Kubelet
) -> None:
    where = ["--runtime-endpoint", str(runtime.socket), "--nri-socket", str(runtime.nri_socket), "--image", lab.IMAGE]
    terminal = Terminal(["demo", "isolation", *where])
    try:
        terminal.until(lambda text: "p99" in text and "▁" in text)
        names = {item.metadata.name for item in kubelet.cri.call("ListPodSandbox").items}
        assert names == {"service", "batch"}
        terminal.press("i")
        # It is drawn again at each window; then the kernel has the value, and nothing is pending.
        terminal.until(lambda text: _settled_with(text, "BE idle"))
        terminal.press("q")
        terminal.until(lambda text: terminal.process.poll() is not None)
        assert terminal.process.wait(PATIENCE_S) == 0
    finally:
        terminal.close()
    assert not kubelet.cri.call("ListPodSandbox").items


def _settled_with(text: str, setting: str) -> bool:
    """Whether in the last whole picture a setting is on, and the kernel has all that was decided."""
    pictures = _COLOUR.sub("", text).split("[b]  batch")
    if len(pictures) < 3:
        return False
    last = pictures[-2]
    row = last.partition(setting)[2].split()
    return row[:1] == ["on"] and "▁" in last and "not in the kernel yet" not in last
