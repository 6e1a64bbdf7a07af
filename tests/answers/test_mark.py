"""A page that follows the node live sees each change by another mark. The parts are those of a daemon that does not run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from koordnri.daemon.config import Config
from koordnri.daemon.wiring import Given, Parts
from koordnri.model import NodeState
from koordnri.policy import read_policy
from koordnri.session.plugin import State
from tests.support.pods import pod


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    log = (tmp_path / "log").open("wb")
    it = Parts(Config(state_dir=tmp_path / "state", listen=None), Given(NodeState(name="n")), log.fileno())
    yield it
    it.writer.close()
    log.close()


def refuse_a_policy(parts: Parts) -> None:
    parts.standing.take(lambda: read_policy(Path("/absent")), "absent", parts.changes.enforce)


def connect(parts: Parts) -> None:
    parts.session.registration.state = State.SYNCHRONIZED


def test_while_nothing_happens_the_mark_is_the_same(parts: Parts) -> None:
    assert parts.mark() == parts.mark()


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: parts.ledger.remember_pod(pod()),
        lambda parts: parts.present.let_go(frozenset({"*"})),
        connect,
        refuse_a_policy,
    ],
    ids=["a pod comes", "a release", "the runtime is connected", "a policy is refused"],
)
def test_a_change_has_another_mark(parts: Parts, change: Callable[[Parts], None]) -> None:
    before = parts.mark()
    change(parts)
    assert parts.mark() != before
