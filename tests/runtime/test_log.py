"""The runtime's log, in which tests wait for lines."""

from __future__ import annotations

import threading

import pytest

from koordnri.runtime.log import RuntimeLog
from tests.support.waiting import PATIENCE_S


def test_a_line_that_is_there_is_found_at_once() -> None:
    log = RuntimeLog()
    log.add("plugin 10-a registered")
    log.add("plugin 10-b registered")
    assert log.wait_for("10-b", 0.0) == "plugin 10-b registered"
    assert str(log) == "plugin 10-a registered; plugin 10-b registered"


def test_a_line_that_another_thread_adds_ends_the_wait() -> None:
    log = RuntimeLog()
    writer = threading.Thread(target=log.add, args=("closing plugin",))
    writer.start()
    assert log.wait_for("closing", PATIENCE_S) == "closing plugin"
    writer.join()


@pytest.mark.parametrize(("lines", "shown"), [([], "nothing"), (["a", "b"], "a; b")])
def test_a_line_that_does_not_come_is_an_error_with_those_that_did(lines: list[str], shown: str) -> None:
    log = RuntimeLog()
    for line in lines:
        log.add(line)
    with pytest.raises(TimeoutError, match=f'no line with "closing" within 0 s, only: {shown}$'):
        log.wait_for("closing", 0.0)
