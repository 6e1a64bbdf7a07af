"""What keeps the daemon from being ready, and what is only a warning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from koordnri.daemon.config import Config
from koordnri.daemon.readiness import Readiness
from koordnri.daemon.wiring import Given, Parts
from koordnri.model import NodeState
from koordnri.policy import read_policy
from koordnri.session.plugin import State
from koordnri.state.lock import NodeLock


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """Parts of which none runs."""
    log = (tmp_path / "log").open("wb")
    it = Parts(Config(state_dir=tmp_path / "state", listen=None), Given(NodeState(name="n")), log.fileno())
    yield it
    it.admission.close_control()
    it.admission.lock.release()
    it.writer.close()
    log.close()


def test_it_is_not_ready_before_it_holds_the_lock(parts: Parts, tmp_path: Path) -> None:
    other = NodeLock(tmp_path / "state")
    assert other.try_acquire()
    assert not parts.admission.seek()
    assert [p.split(":")[0] for p in Readiness(parts).problems()] == [
        f"another koordnri holds {tmp_path}/state/koordnri.lock"
    ]
    other.release()
    assert parts.admission.seek()
    assert Readiness(parts).problems() == ["runtime: not connected yet"]


def test_a_refused_policy_keeps_it_unready_while_the_runtime_is_there(parts: Parts, tmp_path: Path) -> None:
    parts.admission.seek()
    parts.session.state = State.SYNCHRONIZED
    assert Readiness(parts).problems() == []
    parts.standing.take(lambda: read_policy(tmp_path / "none.yaml"), "none.yaml", parts.changes.enforce)
    (problem,) = Readiness(parts).problems()
    assert problem.startswith("policy: ")
    assert problem.endswith("stays in force")


def test_a_state_directory_that_cannot_be_written_is_a_warning(parts: Parts, tmp_path: Path) -> None:
    parts.admission.seek()
    assert Readiness(parts).warnings() == []
    parts.notebook._error = f"{tmp_path}: no space left"
    assert Readiness(parts).warnings() == [
        f"state: kept in memory only, and lost by a restart: {tmp_path}: no space left"
    ]
