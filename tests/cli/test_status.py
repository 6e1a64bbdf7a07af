"""`koordnri status`: what it prints, and its exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from koordnri.cli import cli
from koordnri.cli.control import ControlError
from koordnri.cli.status import brief_line, exit_code, until_ready
from koordnri.cli.status_table import print_status
from tests.observe.driven import Driven, driven

READY: dict[str, Any] = {
    "ready": True,
    "problems": [],
    "warnings": [],
    "violations": [],
    "node": "n1",
    "version": "0.1.0",
    "runtime": {
        "name": "containerd",
        "version": "2.1.4",
        "nri": "0.8.0",
        "state": "synchronized",
        "problem": "",
        "recordRoute": "unsolicited",
        "unrecorded": 0,
    },
    "policy": {
        "revision": "3f2a",
        "source": "ConfigMap k/p",
        "since": "2026-11-29T10:00:00Z",
        "warnings": [],
        "refused": None,
    },
    "api": {"node": "", "pods": ""},
    "landlock": "on: writes only below /state",
    "counts": {"LSE": {"pods": 1, "containers": 2}, "none": {"pods": 1, "containers": 1}},
    "released": {"everything": False, "pods": [], "until": "until koordnri's daemon restarts"},
    "decisions": [],
    "cpus": {"online": "0-7", "exclusive": "2-3", "shared": "0-1,4-7", "batch": "", "reserved": ""},
}
VIOLATION = {"kind": "NotClear", "pod": "shop/a", "container": "main", "message": "shop/[b] runs on CPUs 2"}
POLICY = READY["policy"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, 0),
        ({"violations": [VIOLATION]}, 1),
        ({"warnings": ["state: kept in memory only"]}, 1),
        ({"policy": {**POLICY, "warnings": ["a.b: has no effect"]}}, 1),
        ({"ready": False, "problems": ["runtime: not connected yet"]}, 2),
        ({"ready": False, "problems": ["runtime: not connected yet"], "violations": [VIOLATION]}, 2),
    ],
)
def test_the_exit_code_shows_scripts_how_the_node_is(change: dict[str, Any], code: int) -> None:
    assert exit_code({**READY, **change}) == code


def test_one_line_says_what_matters() -> None:
    assert brief_line(READY) == ("n1: ready; containerd 2.1.4; policy 3f2a; 3 containers; 0 violations; 0 warnings")
    broken = {**READY, "ready": False, "problems": ["runtime: gone", "policy: unread"], "violations": [VIOLATION]}
    broken["runtime"] = {**READY["runtime"], "name": ""}
    assert brief_line(broken) == (
        "n1: NOT READY (runtime: gone; policy: unread); no runtime; policy 3f2a; 3 containers; 1 violation; 0 warnings"
    )


def printed(answer: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    print_status(answer)
    return capsys.readouterr().out


def test_the_screen_shows_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(READY, capsys)
    for part in (
        "n1, koordnri 0.1.0: ready",
        "containerd 2.1.4, NRI 0.8.0: synchronized",
        "unsolicited",
        "revision 3f2a since 2026-11-29T10:00:00Z, from ConfigMap k/p",
        "connected",
        "LSE 1/2, none 1/1",
        "online 0-7  exclusive 2-3  shared 0-1,4-7",
        "no violations, no problems, no warnings",
    ):
        assert part in text


def test_the_screen_names_what_is_wrong_and_shows_others_texts_literally(capsys: pytest.CaptureFixture[str]) -> None:
    answer = {**READY, "ready": False, "problems": ["runtime: gone"], "warnings": ["state: lost"]}
    answer |= {"violations": [VIOLATION], "api": {"pods": "403: forbidden", "node": ""}}
    answer["policy"] = {**POLICY, "warnings": ["a.b: has no effect"]}
    text = printed(answer, capsys)
    for part in (
        "not ready",
        "`koordnri doctor` checks the node",
        "pods: 403: forbidden",
        "violation NotClear shop/a main: shop/[b] runs on CPUs 2",
        "problem runtime: gone",
        "warning state: lost",
        "warning policy: a.b: has no effect",
    ):
        assert part in text
    assert "no violations" not in text
    assert "from the defaults" in printed({**READY, "policy": {**POLICY, "source": ""}}, capsys)


def test_the_screen_ends_with_the_last_decisions(capsys: pytest.CaptureFixture[str]) -> None:
    change = {
        "n": 1,
        "time": "2026-11-29T10:01:02Z",
        "namespace": "shop",
        "pod": "web",
        "container": "main",
        "class": "",
    }
    change |= {"field": "memory.limit", "old": 1 << 30, "new": 2 << 30, "cause": "resize", "detail": ""}
    of_class = {**change, "namespace": "", "pod": "", "container": "", "class": "Burstable", "detail": "3f2a → 77b0"}
    text = printed({**READY, "decisions": [change, of_class | {"cause": "policy", "old": None}]}, capsys)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "2026-11-29 10:01:02 shop/web main memory.limit: 1073741824 (1 GiB) → 2147483648 (2 GiB), by resize" in lines
    assert "2026-11-29 10:01:02 (Burstable) memory.limit: - → 2147483648 (2 GiB), by policy 3f2a → 77b0" in lines


def test_of_very_many_violations_the_screen_shows_the_first_and_counts_the_rest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = printed({**READY, "violations": [VIOLATION] * 25}, capsys)
    assert text.count("NotClear") == 20
    assert "and 5 more" in text


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, pause_s: float) -> None:
        self.now_s += pause_s


def waited(answers: Iterator[Any], timeout_s: float) -> Any:
    def ask() -> Any:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    clock = Clock()
    return until_ready(ask, timeout_s, clock, clock.sleep)


def test_waiting_ends_when_the_daemon_is_there_and_ready() -> None:
    not_yet = {**READY, "ready": False}
    assert waited(iter([ControlError("no socket"), not_yet, READY]), 60) is READY


def test_waiting_ends_after_the_time_limit_with_the_last_answer() -> None:
    not_yet = {**READY, "ready": False}
    assert waited(iter([not_yet] * 3), 1.0) is not_yet
    with pytest.raises(ControlError, match="no socket"):
        waited(iter([ControlError("no socket")] * 3), 1.0)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    with driven(tmp_path_factory.mktemp("status")) as it:
        it.run_pod("p")
        it.create("p")
        it.settled()
        yield it


def status(of: Driven, *options: str) -> Result:
    return CliRunner().invoke(cli, ["status", "--state-dir", str(of.policy.parent / "state"), *options])


def test_the_running_daemon_answers(running: Driven) -> None:
    result = status(running, "--wait", "-o", "json")
    answer = json.loads(result.stdout)
    assert answer["ready"]
    assert answer["problems"] == []
    assert (answer["node"], answer["api"], answer["violations"]) == ("n", {}, [])
    assert answer["runtime"]["state"] == "synchronized"
    assert answer["policy"]["source"] == str(running.policy)
    assert answer["counts"]["none"]["containers"] == 1
    assert [(change["pod"], change["field"]) for change in answer["decisions"]] == [("p", "cpu.quota")]
    assert result.exit_code == exit_code(answer)


def test_it_prints_the_screen_and_the_line_of_the_running_daemon(running: Driven) -> None:
    assert "n, koordnri" in status(running).output
    assert status(running, "--brief").output.startswith("n: ready; ")


def test_a_daemon_that_is_not_there_is_exit_code_2(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["status", "--wait", "--timeout", "0", "--state-dir", str(tmp_path)])
    assert result.exit_code == 2
    assert f"{tmp_path}/koordnri.sock: there is no such socket" in result.output
