"""How long `koordnri verify` looks at its pods: until all are as expected at once, or the time is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from koordnri.cli.control import ControlError
from koordnri.cli.verify_expected import Expectations, Expected
from koordnri.cli.verify_judge import Found
from koordnri.cli.verify_pods import SAMPLES, Placement
from koordnri.cli.verify_run import Clock, look
from koordnri.kube import PodCalls, connect
from koordnri.model.fields import CPU_QUOTA
from tests.cli.test_verify_judge import shape
from tests.kube.fake_pods import FakePods
from tests.kube.watched import write_kubeconfig

PLACE = Placement("run", "n", "node", "image", 120)
PLAIN = Expected(SAMPLES[3], {CPU_QUOTA: 20_000}, 0, "")
NAME = PLACE.name("plain")


@pytest.fixture
def cluster() -> Iterator[FakePods]:
    with FakePods() as server:
        server.pods[NAME] = {}
        yield server


class Looking:
    """Looks with a clock that goes on only in pauses."""

    def __init__(self, cluster: FakePods, folder: Path, *answers: Any) -> None:
        """`answers` of the daemon, one per look; the last one from then on."""
        self.calls = PodCalls(connect(write_kubeconfig(folder, cluster.url)), "n")
        self.answers = list(answers)
        self.now_s = 0.0
        self.pauses = 0

    def explain(self, name: str) -> Any:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sleep(self, pause_s: float) -> None:
        self.pauses += 1
        self.now_s += pause_s

    def look(self, refusals: dict[str, str] | None = None, timeout_s: float = 5.0) -> Found:
        clock = Clock(lambda: self.now_s, self.sleep)
        expectations = Expectations([PLAIN], 2)
        (found,) = look(self.calls, PLACE, expectations, refusals or {}, self.explain, timeout_s, clock)
        return found


def bad() -> Any:
    answer = shape()
    answer["containers"][0]["untouched"]["cpu.quota"]["kernel"] = 10_000
    return answer


def test_it_ends_once_all_is_as_expected(cluster: FakePods, tmp_path: Path) -> None:
    looking = Looking(cluster, tmp_path, ControlError("not seen yet"), bad(), shape())
    assert looking.look().problems == ()
    assert looking.pauses == 2


def test_what_stays_wrong_is_found_when_the_time_is_over(cluster: FakePods, tmp_path: Path) -> None:
    looking = Looking(cluster, tmp_path, bad())
    assert looking.look(timeout_s=2.0).problems == ("cpu.quota: expected 20000, found 10000",)
    assert looking.now_s == 2.0


def test_a_pod_that_failed_or_is_gone_or_was_refused_is_not_waited_for(cluster: FakePods, tmp_path: Path) -> None:
    looking = Looking(cluster, tmp_path, shape())
    cluster.status = {"phase": "Failed", "reason": "OutOfcpu"}
    assert looking.look().problems == ("it does not run: Failed: OutOfcpu",)
    del cluster.pods[NAME]
    assert "somebody else deleted it" in looking.look().problems[0]
    assert looking.look({NAME: "no quota"}).problems == ("no quota",)
    assert looking.pauses == 0


def test_a_pod_that_no_kubelet_takes_has_a_hint(cluster: FakePods, tmp_path: Path) -> None:
    cluster.status = {"phase": "Pending"}
    found = Looking(cluster, tmp_path, shape()).look()
    assert "is node the name of this Node in the API server" in found.problems[0]
