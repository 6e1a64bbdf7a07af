"""When an absent runtime is reported."""

from __future__ import annotations

import threading

import pytest

from koordnri.chain import Chain, Snapshot
from koordnri.model import NodeState
from koordnri.policy import DEFAULT_POLICY
from koordnri.session.absence import AGAIN_S, PATIENCE_S, Absence
from koordnri.session.handler import EventHandler
from koordnri.session.identity import Identity
from koordnri.session.plugin import PluginSession
from koordnri.state.ledger import Ledger
from tests.session.subject import Log, Observer


@pytest.mark.parametrize(
    ("attempts", "reported"),
    [
        ([0], []),
        ([0, PATIENCE_S - 1], []),
        ([0, PATIENCE_S, PATIENCE_S + 1], [PATIENCE_S]),
        ([0, PATIENCE_S, PATIENCE_S + AGAIN_S - 1, PATIENCE_S + AGAIN_S], [PATIENCE_S, PATIENCE_S + AGAIN_S]),
        ([0, None, PATIENCE_S, PATIENCE_S + 1], []),
        ([0, PATIENCE_S, None, 100, 100 + PATIENCE_S], [PATIENCE_S, 100 + PATIENCE_S]),
    ],
)
def test_an_absence_is_reported_after_a_while_and_once_an_hour(
    attempts: list[float | None], reported: list[float]
) -> None:
    """None: the runtime was reached."""
    absence, found = Absence(), []
    for now in attempts:
        if now is None:
            absence.ended()
        elif absence.goes_on(now):
            found.append(now)
    assert found == reported


def test_a_session_without_a_socket_reports_why(tmp_path) -> None:
    now_s, reported = 0.0, []

    def pause(stopping: threading.Event, for_s: float) -> None:
        nonlocal now_s
        now_s += for_s

    def absent(problem: str) -> None:
        reported.append((now_s >= PATIENCE_S, problem))
        session.stop()

    chain, ledger = Chain(()), Ledger()
    handler = EventHandler(chain, ledger, Snapshot.of(DEFAULT_POLICY, NodeState()), Observer())
    session = PluginSession(
        Identity("koordnri", "10"),
        str(tmp_path / "nri.sock"),
        handler,
        Log(),
        monotonic=lambda: now_s,
        pause=pause,
        on_absent=absent,
    )
    session.run()
    assert reported == [(True, f"cannot connect to {tmp_path}/nri.sock: No such file or directory")]
