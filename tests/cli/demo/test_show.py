"""The loop, and what is read of the pods. On a real runtime: tests/e2e/test_e2e_demo.py."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from koordnri.cli.bench.isolation.inside import write_whole
from koordnri.cli.bench.isolation.pods import RunningPod
from koordnri.cli.demo.moment import Moment
from koordnri.cli.demo.show import Show, follow, plans
from koordnri.cli.demo.switches import ALL_ON, BATCH, IDLE, QUIT, policy_of

PODS = [RunningPod(plan, f"/kubepods/burstable/pod{plan.name}", "", Path(), Path()) for plan in plans(2)]


class Taken:
    """In place of the daemon's process: the policies that it was given."""

    def __init__(self, directory: Path) -> None:
        self.state_dir = directory
        self.policies: list[Any] = []

    def take(self, policy: Any) -> None:
        self.policies.append(policy)


@pytest.fixture
def daemon(tmp_path: Path) -> Taken:
    return Taken(tmp_path)


@pytest.fixture
def show(tmp_path: Path, daemon: Taken) -> Show:
    stage: Any = SimpleNamespace(daemon=daemon, cgroups=SimpleNamespace(version=2))
    return Show(stage, tmp_path, PODS)


def test_a_setting_goes_on_and_off_with_its_key(show: Show, daemon: Taken) -> None:
    show.press(IDLE)
    show.press(IDLE)
    assert daemon.policies == [policy_of(ALL_ON | {IDLE}), policy_of(ALL_ON)]


def test_other_keys_do_nothing(show: Show, daemon: Taken) -> None:
    show.press("?")
    assert (show.on, daemon.policies) == (ALL_ON, [])


def test_batch_rests_while_the_file_is_there_and_the_policy_stays(show: Show, daemon: Taken, tmp_path: Path) -> None:
    show.press(BATCH)
    assert (tmp_path / "rest").exists()
    show.press(BATCH)
    assert not (tmp_path / "rest").exists()
    assert daemon.policies == []


def test_each_window_is_returned_once(show: Show, tmp_path: Path) -> None:
    assert show.next() is None
    write_whole(tmp_path / "live.json", '{"number": 1, "took_s": [0.001], "dropped": 0}')
    first = show.next()
    assert first is not None
    assert (first.number, first.p99_ms, first.batch_cores, first.on) == (1, 1.0, 0.0, ALL_ON)
    assert show.next() is None


def test_a_daemon_that_does_not_answer_is_shown(show: Show) -> None:
    assert "no such socket" in show.pending()


class Played:
    """In place of a show: a window at each look."""

    def __init__(self) -> None:
        self.on = ALL_ON
        self.pressed: list[str] = []

    def press(self, key: str) -> None:
        self.pressed.append(key)

    def pending(self) -> str:
        return "pending"

    def next(self) -> Moment:
        return Moment(1, 1.0, 1.0, 1.0, 0, 0.0, ALL_ON)


def test_it_goes_on_until_the_key_to_quit_and_keeps_a_bounded_number() -> None:
    keys = iter([*[""] * 150, IDLE, QUIT])
    drawn: list[int] = []
    played: Any = Played()
    follow(played, lambda timeout_s: next(keys), lambda moments, pending: drawn.append(len(moments)), QUIT)
    assert played.pressed == [IDLE]
    assert (len(drawn), max(drawn)) == (151, 100)
