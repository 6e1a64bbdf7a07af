"""The part `isolation` of `koordnri bench`: where it cannot run, and which rounds count."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from koordnri.cli.bench.command import bench
from koordnri.cli.bench.figures import BenchError
from koordnri.cli.bench.isolation.experiment import Experiment
from koordnri.cli.bench.isolation.plan import ALONE, NONE, Arm, Design, PodPlan
from koordnri.cli.bench.isolation.report import NOTHING_COUNTS, Where, _choose, _measure, _without_absent_files
from koordnri.model import KubeQoS


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    result = CliRunner().invoke(bench, ["--part", "isolation"])
    assert (result.exit_code, "needs root" in result.output) == (1, True)


def test_without_a_runtime_it_names_the_socket_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    result = CliRunner().invoke(bench, ["--part", "isolation", "--runtime-endpoint", str(tmp_path / "none.sock")])
    assert result.exit_code == 1
    assert f"{tmp_path}/none.sock: expected the socket of a container runtime" in result.output


def design_of(name: str, *needs: str) -> Design:
    return Design(name, "", [], needs=needs)


class Measured(Experiment):
    """Rounds with these p50 of the service while it is alone, in ms; a request takes 0.5 ms of CPU."""

    def __init__(self, *p50_ms: float) -> None:
        self.left = [*p50_ms]

    def round(self, design: Design, seconds: float, done: Any = None) -> Any:
        alone = {"p50_ms": self.left.pop(0), "p99_ms": 2.0, "request_cpu_ms": 0.5}
        return {ALONE: alone, NONE: alone | {"p99_ms": 6.0}}


SERVICE = PodPlan("service", "service", {}, KubeQoS.BURSTABLE)
PAIR = Design("D", "beside batch", [Arm(name, SERVICE, None, {}, f"with {name}") for name in (ALONE, NONE)])
WHERE = Where(Path("c.sock"), Path("nri.sock"), "pause:1", rounds=3, seconds=1.0, designs=())


def test_a_round_that_does_not_count_is_in_no_figure() -> None:
    found = _measure(Measured(0.5, 5.0, 0.6), PAIR, WHERE)
    assert (found["kept_rounds"], len(found["thrown_away"])) == (2, 1)
    assert found["arms"][ALONE]["p50_ms"] == {"q1": 0.525, "median": 0.55, "q3": 0.575}
    assert found["says"] == ["with none: p99 of the service +200 %."]


def test_where_no_round_counts_no_conclusion_is_drawn() -> None:
    found = _measure(Measured(5.0, 5.0, 5.0), PAIR, WHERE)
    assert (found["kept_rounds"], len(found["thrown_away"])) == (0, 3)
    assert found["says"] == [NOTHING_COUNTS]


KNOWN = {name: design_of(name, *needs) for name, needs in (("D1", ()), ("D4", ("memory",)))}


def test_what_this_node_cannot_show_is_skipped_with_the_reason() -> None:
    wanted, skipped = _choose(KNOWN, (), ())
    assert [design.name for design in wanted] == ["D1"]
    assert skipped == {"D4": "needs cgroup v2 with the controllers memory"}
    assert _choose(KNOWN, (), ("cpu", "memory")) == (list(KNOWN.values()), {})


def test_what_was_named_and_cannot_be_shown_is_an_error() -> None:
    with pytest.raises(BenchError, match="D4 needs cgroup v2"):
        _choose(KNOWN, ("D4",), ())
    with pytest.raises(BenchError, match="D5 needs a disk"):
        _choose(KNOWN, ("D5",), ("io",))
    assert _choose(KNOWN, ("D1",), ()) == ([KNOWN["D1"]], {})


def test_an_arm_whose_file_this_kernel_lacks_is_left_out_with_the_reason() -> None:
    pair_and_target = [*PAIR.arms, Arm("io.latency", SERVICE, None, {}, needs_file="io.latency")]
    design = Design("D5", "", pair_and_target, needs=("io",))
    wanted, skipped = _without_absent_files([PAIR, design], {"io.latency": False}.__getitem__)
    assert wanted == [PAIR, design._replace(arms=PAIR.arms)]
    assert skipped == {"D5 io.latency": "needs the file io.latency, which this kernel lacks"}
    assert _without_absent_files([PAIR, design], {"io.latency": True}.__getitem__) == ([PAIR, design], {})
