"""The brake: registrations that end before Synchronize are not repeated without end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from koordnri.runtime import Runtime
from koordnri.session.registration import State
from koordnri.wire import api_pb2 as api
from tests.session.scripted_runtime import Link, ScriptedRuntime
from tests.session.subject import (
    WAIT_S,
    Pauses,
    Subject,
    hang_up_after_configure,
    hang_up_after_registration,
    hang_up_before_registration,
    hang_up_in_synchronize,
)
from tests.support.messages import container, pod
from tests.support.waiting import PATIENCE_S


def test_registrations_that_end_before_synchronize_put_the_brake_on_and_one_that_does_not_takes_it_off(
    tmp_path: Path,
) -> None:
    pauses, reported = Pauses(), list[str]()
    with (
        ScriptedRuntime(tmp_path / "nri") as runtime,
        Subject(tmp_path / "nri", pause=pauses, on_braked=reported.append) as subject,
    ):
        for _ in range(6):
            hang_up_in_synchronize(runtime.accept())
        link = runtime.accept()  # by now the last pause is over
        assert [round(s) for s in pauses.seconds[2:]] == [60, 300, 900, 900]
        assert all(s <= 2 for s in pauses.seconds[:2])
        assert len(reported) == 4
        assert reported[0].startswith("3 registrations in a row ended before Synchronize was done (closed by the")
        assert "1 parts, " in reported[0]
        assert "not trying again for 1 min" in reported[0]
        assert "for 15 min" in reported[3]
        assert subject.log.wait_for("registration_braked")["error"] == reported[0]

        link.shake_hands()
        link.call("RemovePodSandbox", api.RemovePodSandboxRequest())
        link.close()
        for _ in range(2):
            hang_up_after_configure(runtime.accept())
        runtime.accept().shake_hands()
        assert len(reported) == 4


def test_while_the_brake_is_on_the_session_says_why_and_can_be_stopped(tmp_path: Path) -> None:
    braked = threading.Event()

    def pause(stop: threading.Event, pause_s: float) -> None:
        if pause_s >= 60:
            braked.set()
            stop.wait()

    with ScriptedRuntime(tmp_path / "nri") as runtime, Subject(tmp_path / "nri", pause=pause) as subject:
        for _ in range(3):
            hang_up_after_configure(runtime.accept())
        assert braked.wait(WAIT_S)
        assert subject.session.problem.startswith("3 registrations in a row ended before Synchronize was done")
        assert subject.session.state is State.DISCONNECTED


@pytest.mark.parametrize("lose", [hang_up_before_registration, hang_up_after_registration])
def test_a_runtime_that_does_not_come_to_synchronize_does_not_put_the_brake_on(
    tmp_path: Path, lose: Callable[[Link], None]
) -> None:
    pauses = Pauses()
    with ScriptedRuntime(tmp_path / "nri") as runtime, Subject(tmp_path / "nri", pause=pauses):
        for _ in range(5):
            lose(runtime.accept())
        runtime.accept().shake_hands()
    assert max(pauses.seconds) < 60


def test_a_runtime_that_cannot_split_what_runs_puts_the_brake_on(tmp_path: Path) -> None:
    """Upstream's manner, by the embedded runtime: eight large containers or fewer are never sent in smaller parts."""
    reported: list[str] = []
    with Runtime(tmp_path / "nri", request_timeout_s=PATIENCE_S) as runtime:
        runtime.run_pod_sandbox(pod())
        for n in range(4):
            large = container(f"c{n}", env=["BIG=" + "x" * 1_200_000])
            runtime.create_container("p1", large)
        with Subject(tmp_path / "nri", pause=Pauses(), on_braked=reported.append) as subject:
            assert subject.log.wait_for("registration_braked")
    assert reported[0].startswith("3 registrations in a row")
