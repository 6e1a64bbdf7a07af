"""GET /v1/why and `koordnri why`: the history of a pod's fields, from the running daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from koordnri.answers.why import MOST_CHANGES, why
from koordnri.chain import Snapshot
from koordnri.cli import cli
from koordnri.model import Container, Decision, Event, NodeState, Pod, Resources, Setting, fields
from koordnri.observe.questions import BadQuestion, NotHere
from koordnri.policy import DEFAULT_POLICY
from koordnri.state.history import History
from koordnri.state.ledger import Ledger
from tests.observe.driven import Driven, driven

POD = Pod("p1", "uid-1", "shop", "web")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Driven]:
    with driven(tmp_path) as it:
        it.run_pod("web")
        it.create("web")
        it.settled()
        yield it


def asked(directory: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["why", *words, "--state-dir", str(directory / "state")], env={"COLUMNS": "200"})


def answered(directory: Path, *words: str) -> Any:
    result = asked(directory, *words, "-o", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_a_creation_is_the_first_change_of_a_field(running: Driven, tmp_path: Path) -> None:
    answer = answered(tmp_path, "shop/web", "cpu.quota", "--container", "name-of-c1")
    (change,) = answer["changes"]
    assert change["time"] == answer["since"]
    shape = {"container": "name-of-c1", "field": "cpu.quota", "old": -1, "new": 12_000, "cause": "creation"}
    assert shape.items() <= change.items()
    assert change["reason"] == "as an example"
    assert (answer["more"], answer["problem"], answer["lost"]) == (False, "", 0)


def test_the_table_has_the_change_and_nothing_that_nobody_asked_for(running: Driven, tmp_path: Path) -> None:
    table = asked(tmp_path, "shop/web").output
    assert "12000" in table
    assert "creation" in table
    none = asked(tmp_path, "shop/web", "memory.high")
    assert none.exit_code == 0
    assert none.output.startswith("no change of memory.high of pod shop/web is in the history, which goes back to 20")


def test_without_a_pod_the_changes_of_the_node_are_shown(running: Driven, tmp_path: Path) -> None:
    running.run_pod("db")
    running.create("db")
    running.settled()
    answer = answered(tmp_path)
    pods = [(change["namespace"], change["pod"]) for change in answer["changes"] if change["field"] == "cpu.quota"]
    assert pods == [("shop", "web"), ("shop", "db")]
    assert (answer["pod"], answer["field"], answer["more"]) == (None, None, False)
    table = asked(tmp_path).output
    assert table.index("shop/web") < table.index("shop/db")


def test_a_field_needs_its_pod(tmp_path: Path) -> None:
    with pytest.raises(BadQuestion, match="belong to a pod"):
        why({"field": "cpu.quota"}, History(Snapshot(DEFAULT_POLICY, NodeState(name="n"))), Ledger())


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["web"], '"pod": expected NAMESPACE/NAME such as shop/web-0, got "web"'),
        (["shop/absent"], "no pod shop/absent runs on this node, and the history has none of this name"),
        (["shop/web", "cpu.qota"], 'unknown field "cpu.qota"; there are '),
        (["shop/web", "cpu.qota"], ", cpu.quota, "),
        (["shop/web", "cpu.quota[x]"], 'unknown field "cpu.quota[x]"; expected cpu.quota'),
        (["shop/web", "io.max[x"], 'unknown field "io.max[x"; expected io.max[KEY]'),
        (["shop/web", "--container", "x"], 'pod shop/web has no container "x"; there are name-of-c1'),
    ],
)
def test_a_question_that_cannot_be_answered_says_what_there_is(
    running: Driven, tmp_path: Path, words: list[str], error: str
) -> None:
    result = asked(tmp_path, *words)
    assert result.exit_code == 2
    assert error in result.output.replace("\n", " ")


def test_the_history_outlives_the_daemon_and_the_pod(tmp_path: Path) -> None:
    with driven(tmp_path) as it:
        it.run_pod("web")
        it.create("web")
        it.settled()
    with driven(tmp_path):
        assert [change["new"] for change in answered(tmp_path, "shop/web", "cpu.quota")["changes"]] == [12_000]


# -- the answer by itself ---------------------------------------------------------------------------------------------


def history_with(*settings: Setting) -> History:
    history = History(Snapshot(DEFAULT_POLICY, NodeState(name="n")))
    for setting in settings:
        decision = Decision({setting.field.named(setting.key): setting})
        history.decided(POD, Container("c1", "main", "p1", Resources()), Event.CREATE, decision)
    return history


def limit_of(disk: str) -> Setting:
    return Setting(fields.IO_MAX, disk, "rbps=1", "blkio", "as an example", "adjust")


def test_a_keyed_field_stands_for_all_its_keys() -> None:
    history = history_with(limit_of("/dev/sda"), limit_of("/dev/sdb"))
    for field, found in (("io.max", 2), ("io.max[/dev/sdb]", 1), ("io.weight", 0), ("", 2)):
        assert len(why({"pod": "shop/web", "field": field}, history, Ledger())["changes"]) == found


def test_only_the_newest_changes_are_answered_and_the_answer_says_so() -> None:
    quotas = (
        Setting(fields.CPU_QUOTA, "", number, "cfs_quota", "as an example", "adjust")
        for number in range(1, MOST_CHANGES + 2)
    )
    answer = why({"pod": "shop/web"}, history_with(*quotas), Ledger())
    assert answer["more"] is True
    assert len(answer["changes"]) == MOST_CHANGES
    assert answer["changes"][-1]["new"] == MOST_CHANGES + 1


def test_a_pod_that_runs_without_a_change_has_an_empty_history() -> None:
    ledger = Ledger()
    ledger.remember_pod(POD)
    answer = why({"pod": "shop/web"}, history_with(), ledger)
    assert (answer["changes"], answer["since"]) == ([], None)


def test_a_daemon_without_history_says_how_it_was_started() -> None:
    with pytest.raises(NotHere, match="--history off"):
        why({"pod": "shop/web"}, None, Ledger())


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(BadQuestion, match="container, field, pod"):
        why({"pod": "shop/web", "x": "1"}, None, Ledger())
