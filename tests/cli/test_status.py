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
        "required": {"hooks": [], "refusesUnanswered": False},
        "recordRoute": "unsolicited",
        "unrecorded": 0,
    },
    "policy": {
        "revision": "3f2a",
        "source": "ConfigMap k/p",
        "since": "2026-11-29T10:00:00Z",
        "warnings": [],
        "refused": None,
        "former": None,
    },
    "api": {"node": "", "pods": ""},
    "landlock": "on: writes only below /state",
    "hostApplications": [],
    "controllers": {
        "modes": {},
        "bestEffort": None,
        "raisedQuotas": 0,
        "loweredMemory": 0,
        "waits": [],
        "reclaimable": None,
    },
    "eviction": {"mode": "off", "last": None},
    "counts": {"LSE": {"pods": 1, "containers": 2}, "none": {"pods": 1, "containers": 1}},
    "released": {"everything": False, "pods": [], "until": "until koordnri's daemon restarts"},
    "decisions": [],
    "cpus": {"online": "0-7", "exclusive": "2-3", "shared": "0-1,4-7", "batch": "", "reserved": ""},
}
VIOLATION = {"kind": "NotClear", "pod": "shop/a", "container": "main", "message": "shop/[b] runs on CPUs 2"}
POLICY = READY["policy"]
HOST = {
    "name": "nginx",
    "qos": "LS",
    "cgroup": "host-latency-sensitive/nginx",
    "problem": "",
    "fields": {"memory.low": 1 << 30},
}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, 0),
        ({"violations": [VIOLATION]}, 1),
        ({"warnings": ["state: kept in memory only"]}, 1),
        ({"policy": {**POLICY, "warnings": ["a.b: has no effect"]}}, 1),
        ({"hostApplications": [HOST]}, 0),
        ({"hostApplications": [HOST | {"problem": "there is no such cgroup"}]}, 1),
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


def test_one_line_says_that_a_newer_policy_is_refused() -> None:
    refused = {**POLICY, "refused": {"source": "f", "since": "t", "mistakes": [{"path": "a", "message": "b"}]}}
    assert "; policy 3f2a (a newer one is refused); " in brief_line({**READY, "policy": refused})


@pytest.mark.parametrize(
    ("changes", "more", "shown"),
    [
        ([{"path": "a.b", "old": "1", "new": "[2]"}], 0, "a.b: 1 → [2]"),
        ([{"path": "a", "old": "1", "new": "2"}], 7, "a: 1 → 2; and 7 more; see -o json"),
        ([], 0, "nothing that counts"),
    ],
)
def test_the_policy_before_is_shown_with_what_changed(
    changes: list[Any], more: int, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    former = {"revision": "1e0b", "until": "2026-11-29T10:00:00Z", "changes": changes, "more": more}
    lines = printed({**READY, "policy": {**POLICY, "former": former}}, capsys)
    expected = f"revision 1e0b until 2026-11-29T10:00:00Z; changed since: {shown}"
    assert expected in " ".join(lines.split())
    assert "former" not in printed(READY, capsys)


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


@pytest.mark.parametrize(
    ("holds", "shown"),
    [
        ({}, "cpuSuppress enforce"),
        (
            {"bestEffort": {"cpus": "0-2", "quotaMicroseconds": None}},
            "cpuSuppress enforce, best-effort work on CPUs 0-2",
        ),
        ({"bestEffort": {"cpus": None, "quotaMicroseconds": 5000}}, "best-effort work: 5000 µs per 100 ms"),
        ({"raisedQuotas": 1, "loweredMemory": 2}, "1 quota raised, memory.high lowered of 2 containers"),
        ({"waits": [{"pod": "shop/web", "text": "waited for a CPU"}]}, "waits shop/web waited for a CPU"),
        (
            {"reclaimable": {"cachedBytes": 3 << 20, "beyondRequestsBytes": 5 << 20, "pods": [{"pod": "shop/job"}]}},
            "reclaimable 3 MiB of cached files, and at most 5 MiB beyond requests of best-effort pods",
        ),
    ],
)
def test_the_screen_shows_what_controllers_hold(
    holds: dict[str, Any], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "controllers" not in printed(READY, capsys)
    found = {**READY["controllers"], "modes": {"cpuSuppress": "enforce"}, **holds}
    assert shown in " ".join(printed({**READY, "controllers": found}, capsys).split())


@pytest.mark.parametrize(("refuses", "what"), [(True, "are refused"), (False, "are created without them")])
def test_the_screen_says_what_required_hooks_are_worth_while_nobody_answers(
    refuses: bool, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    required = {"hooks": ["cpuset", "gpu"], "refusesUnanswered": refuses}
    text = " ".join(printed({**READY, "runtime": {**READY["runtime"], "required": required}}, capsys).split())
    assert f"required cpuset, gpu: while koordnri does not answer, containers {what}" in text
    assert "required" not in printed(READY, capsys)


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


def test_host_applications_are_named_and_one_that_is_left_alone_is_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lost = {**HOST, "name": "job", "cgroup": "x", "problem": "there is no such cgroup"}
    shown = printed({**READY, "hostApplications": [HOST, lost]}, capsys)
    assert "nginx, LS: memory.low 1073741824 (1 GiB)" in " ".join(shown.split())
    assert "warning host application job is left alone: x: there is no such cgroup" in shown
