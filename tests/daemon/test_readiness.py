"""What keeps the daemon from being ready, and what is only a warning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from koordnri.daemon.config import Config
from koordnri.daemon.wiring import Given, Parts
from koordnri.model import NodeState, Pod
from koordnri.policy import read_policy
from koordnri.session.registration import State
from koordnri.state.lock import NodeLock


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """Parts that do not run."""
    log = (tmp_path / "log").open("wb")
    it = Parts(
        Config(nri_socket=str(tmp_path / "nri.sock"), state_dir=tmp_path / "state", listen=None),
        Given(NodeState(name="n")),
        log.fileno(),
    )
    yield it
    it.admission.close_control()
    it.admission.lock.release()
    it.writer.close()
    log.close()


def test_it_is_not_ready_before_it_holds_the_lock(parts: Parts, tmp_path: Path) -> None:
    other = NodeLock(tmp_path / "state")
    assert other.try_acquire()
    assert not parts.admission.seek()
    assert [p.split(":")[0] for p in parts.readiness.problems()] == [
        f"another koordnri holds {tmp_path}/state/koordnri.lock"
    ]
    other.release()
    assert parts.admission.seek()
    assert parts.readiness.problems() == ["runtime: not connected yet"]


def take_policy(parts: Parts, path: Path) -> None:
    parts.standing.take(lambda: read_policy(path), path.name, parts.changes.enforce)


def test_a_refused_policy_keeps_it_unready_while_there_was_no_good_one(parts: Parts, tmp_path: Path) -> None:
    parts.admission.seek()
    parts.session.registration.state = State.SYNCHRONIZED
    assert parts.readiness.problems() == []
    take_policy(parts, tmp_path / "none.yaml")
    (problem,) = parts.readiness.problems()
    assert problem.startswith("policy: none.yaml was refused: ")
    assert problem.endswith("the defaults, is in force")
    assert parts.readiness.warnings() == []


@pytest.mark.parametrize("good", ["a policy", "the defaults, since the ConfigMap was deleted"])
def test_a_refused_policy_beside_a_good_one_is_a_warning(parts: Parts, tmp_path: Path, good: str) -> None:
    parts.admission.seek()
    parts.session.registration.state = State.SYNCHRONIZED
    (tmp_path / "good.yaml").write_text("koordnri-config: {}")
    if good == "a policy":
        take_policy(parts, tmp_path / "good.yaml")
    else:
        parts.standing.take_defaults("there is no ConfigMap", parts.changes.enforce)
    take_policy(parts, tmp_path / "none.yaml")
    assert parts.readiness.problems() == []
    (warning,) = parts.readiness.warnings()
    assert warning.startswith("policy: none.yaml was refused: ")
    assert warning.endswith(f"revision {parts.present.snapshot.policy.revision} stays in force")
    take_policy(parts, tmp_path / "good.yaml")
    assert parts.readiness.warnings() == []


def test_what_was_released_is_a_warning_until_the_daemon_restarts(parts: Parts) -> None:
    parts.admission.seek()
    for name in ("b", "a", "c"):
        parts.ledger.remember_pod(Pod(name, f"uid-{name}", "shop", name))
    parts.present.let_go(frozenset({"a", "b", "gone"}))
    ending = "left to kubelet until koordnri's daemon restarts"
    assert parts.readiness.warnings() == [f"release: shop/a, shop/b are {ending}"]
    parts.present.let_go(frozenset({"*"}))
    assert parts.readiness.warnings() == [f"release: all pods of this node, and those that come, are {ending}"]


def test_a_state_directory_that_cannot_be_written_is_a_warning(parts: Parts, tmp_path: Path) -> None:
    parts.admission.seek()
    assert parts.readiness.warnings() == []
    parts.notebook._error = f"{tmp_path}: no space left"
    assert parts.readiness.warnings() == [
        f"state: kept in memory only, and lost by a restart: {tmp_path}: no space left"
    ]


def test_labels_of_namespaces_that_nobody_can_ask_for_are_a_warning(parts: Parts, tmp_path: Path) -> None:
    parts.admission.seek()
    trust = {"resctrl": {"namespaceSelector": {"matchLabels": {"team": "hpc"}}}}
    (tmp_path / "policy.yaml").write_text(json.dumps({"koordnri-config": {"clusterStrategy": {"trust": trust}}}))
    take_policy(parts, tmp_path / "policy.yaml")
    assert parts.readiness.warnings() == [
        "policy: namespaceSelector in trust matches no namespace: it needs the API server"
    ]
