"""What the runtime does to us when another plugin is in our way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from koordnri.daemon.unstarted import Unstarted
from koordnri.model.log import Log
from koordnri.runtime import Runtime
from tests.daemon.running import Running, create, run_pod
from tests.daemon.sent_events import SentEvents
from tests.support.waiting import eventually


class Heard:
    """A log that keeps the names of its warnings."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def warning(self, event: str, **_: Any) -> None:
        self.names.append(event)


def test_several_in_a_row_are_reported_once_and_again_after_some_have_started() -> None:
    events, log, now = SentEvents([]), Heard(), [0]
    unstarted = Unstarted(lambda: now[0], events, cast("Log", log))
    reported = []
    for count in (0, 1, 2, 3, 4, 0, 1, 3, 4):
        now[0] = count
        unstarted.look()
        reported.append(len(events.of_node))
    assert reported == [0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert log.names == ["containers_never_start"] * 2
    reason, message = events.of_node[0]
    assert reason == "ContainersNeverStart"
    assert message.startswith("the last 3 containers were removed after koordnri's answer and before they started: ")


def test_readiness_warns_while_no_container_starts(start: Callable[..., Running], runtime: Runtime) -> None:
    running = start()
    running.wait_ready()
    run_pod(runtime)
    for name in ("c1", "c2", "c3"):
        create(runtime, name)
        runtime.remove_container(name)
    running.wait_warned("the last 3 containers were removed", "a second koordnri")
    running.wait_logged("containers_never_start")
    create(runtime, "c4")
    runtime.start_container("c4")
    eventually(lambda: running.readiness() == (200, "ok\n"), "no warning is left")
