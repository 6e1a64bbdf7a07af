"""Arms run in turn, each once per round, and only when the kernel has what they are about."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from koordnri.cli.bench.isolation import experiment
from koordnri.cli.bench.isolation.experiment import Experiment, unproved
from koordnri.cli.bench.isolation.plan import EXCLUSIVE_CPUS, TRUSTING, Arm, Design, PodPlan
from koordnri.cli.bench.isolation.pods import RunningPod
from koordnri.model import KubeQoS

PLAN = PodPlan("batch", "batch", {}, KubeQoS.BESTEFFORT)


def explanation(pod: dict[str, Any] | None = None, container: dict[str, Any] | None = None, cpus: str = "") -> Any:
    return {
        "pod": {"fields": pod or {}},
        "containers": [{"name": "main", "fields": container or {}}],
        "cpus": {"exclusive": {"main": cpus} if cpus else {}},
    }


def field(value: Any, kernel: Any) -> dict[str, Any]:
    return {"value": value, "kernel": kernel, "agrees": value == kernel}


def problems(proof: dict[str, Any], shape: Any) -> list[str]:
    return unproved(RunningPod(PLAN._replace(proof=proof), "", "", Path(), Path()), shape)


def test_an_arm_counts_when_the_kernel_has_its_values() -> None:
    shape = explanation({"cpu.idle": field(1, 1)}, {"cpu.quota": field(-1, -1)}, "3")
    assert problems({"cpu.idle": 1, "cpu.quota": -1, EXCLUSIVE_CPUS: 1}, shape) == []


@pytest.mark.parametrize(
    ("proof", "shape", "expected"),
    [
        ({"cpu.idle": 1}, explanation(), "koordnri-bench/batch: cpu.idle: expected 1, found None"),
        ({EXCLUSIVE_CPUS: 1}, explanation(), "koordnri-bench/batch: exclusive CPUs: expected 1, found 0"),
        (
            {},
            explanation({"cpu.shares": field(2, 1024)}),
            "koordnri-bench/batch: cpu.shares: decided 2, the kernel has 1024",
        ),
    ],
)
def test_an_arm_waits_for_values_that_are_not_there(proof: dict[str, Any], shape: Any, expected: str) -> None:
    assert problems(proof, shape) == [expected]


class FakeDaemon:
    """Remembers the policies that running pods were brought to."""

    def __init__(self) -> None:
        self.taken: list[Any] = []

    def apply(self, policy: Any) -> None:
        self.taken.append(policy)


@pytest.mark.parametrize(("policy", "taken"), [({"other": 1}, [TRUSTING]), (TRUSTING, [])])
def test_after_a_design_the_daemon_gives_back_what_its_policies_had_set(policy: Any, taken: list[Any]) -> None:
    pods: Any = SimpleNamespace(prepared=lambda _design: contextlib.nullcontext())
    daemon: Any = FakeDaemon()
    with Experiment(pods, daemon, policy).prepared(Design("D", "", [])):
        assert daemon.taken == []
    assert daemon.taken == taken


class FakePods:
    """Runs nothing: results are there at once."""

    def __init__(self, tmp_path: Path, result: dict[str, Any]) -> None:
        self.go = tmp_path / "go"
        self.ran_s: list[float] = []
        self.quota_us: Callable[[], int] = lambda: -1
        self._pod = RunningPod(PLAN, "", "", tmp_path, tmp_path / "result.json")
        self._pod.result.write_text(json.dumps(result))

    @contextlib.contextmanager
    def running(self, plans: list[PodPlan], seconds: float) -> Iterator[list[RunningPod]]:
        self.ran_s.append(seconds)
        yield [self._pod]

    def quota_m(self, pod: RunningPod) -> int:
        return 760

    def class_quota_us(self, pod: RunningPod) -> int:
        return self.quota_us()


class AtOnce(Experiment):
    """What is decided is in the kernel at once."""

    def _wait_in_force(self, arm: Arm, pods: list[RunningPod]) -> None: ...


def test_requests_before_an_arm_has_settled_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "LEAD_S", 0.0)
    result = {"due_s": [0.0, 0.01, 0.02, 0.03], "took_s": [9.0, 9.0, 0.001, 0.001], "cpu_s": 0.004}
    pods: Any = FakePods(tmp_path, result)
    daemon: Any = SimpleNamespace(wait_until=lambda *_: None)
    arm = Arm("quota burst", PLAN, None, TRUSTING, settle_s=0.02)
    found = AtOnce(pods, daemon, TRUSTING)._measure(arm, 0.02)
    assert pods.ran_s == [0.04]
    assert found["p99_ms"] == 1.0
    assert found["request_cpu_ms"] == 1.0
    assert found["quota_m"] == 760
    assert "quota_m" not in AtOnce(pods, daemon, TRUSTING)._measure(arm._replace(settle_s=0.0), 0.02)


class Clock:
    """Time that passes while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.mark.parametrize(
    ("quota_us", "acted_s"),
    [
        # It grows until 4 s, has settled at 8 s, and 0.8 s later the service wakes up.
        pytest.param(
            lambda s: min(60_000 + 10_000 * int(s), 100_000) if s < 10 else 90_000, 1.2, id="it-falls-by-half"
        ),
        pytest.param(
            lambda s: min(60_000 + 10_000 * int(s), 100_000) if s < 10 else 90_001, 5.0, id="it-falls-by-less"
        ),
        pytest.param(lambda s: 100_000 if s < 10 else -1, 5.0, id="it-is-lifted"),
        pytest.param(lambda s: 19_999 if s < 5 else 2_000, None, id="too-little-is-left"),
        # It never settles, so the service wakes up at 20.8 s.
        pytest.param(lambda s: 100_000 + int(s) % 2 if s < 22 else 80_000, 1.2, id="others-use-the-machine"),
    ],
)
def test_it_is_measured_when_batch_work_got_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota_us: Callable[[float], int], acted_s: float | None
) -> None:
    clock = Clock()
    monkeypatch.setattr(experiment, "time", clock)
    monkeypatch.setattr(experiment, "random", SimpleNamespace(random=lambda: 0.5))
    pods: Any = FakePods(tmp_path, {"due_s": [0.0], "took_s": [0.001], "cpu_s": 0.001})
    pods.quota_us = lambda: quota_us(clock.now_s)
    daemon: Any = SimpleNamespace(wait_until=lambda *_: None)
    arm = Arm("suppress", PLAN, PLAN, TRUSTING, wake_us=20_000)
    found = AtOnce(pods, daemon, TRUSTING)._measure(arm, 5.0).get("acted_s")
    assert found is acted_s or found == pytest.approx(acted_s, abs=0.05)
    assert "acted_s" not in AtOnce(pods, daemon, TRUSTING)._measure(arm._replace(wake_us=0), 5.0)


class Recorded(Experiment):
    """Measures nothing, and remembers what it was asked to."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def _measure(self, arm: Arm, seconds: float) -> dict[str, float]:
        self.asked.append(arm.name)
        return {"p99_ms": seconds}


def test_each_round_measures_every_arm_once_before_any_arm_a_second_time() -> None:
    design = Design("D", "", [Arm(name, PLAN, None, {}) for name in ("alone", "none", "idle")])
    recorded = Recorded()
    rounds = [recorded.round(design, 2.0) for _ in range(2)]
    assert recorded.asked == ["alone", "none", "idle"] * 2
    assert rounds[0] == {name: {"p99_ms": 2.0} for name in ("alone", "none", "idle")}
