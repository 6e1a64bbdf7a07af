"""The programs in the containers, run here."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from koordnri.cli.bench.isolation import inside


def run(tmp_path: Path, program: str, **config: Any) -> Any:
    files = {name: str(tmp_path / name) for name in ("ready", "go", "result")}
    process = subprocess.Popen(
        [sys.executable, "-S", "-E", inside.__file__, program, json.dumps({**config, "seconds": 0.1, **files})]
    )
    try:
        until = time.monotonic() + 30
        while not (tmp_path / "ready").exists() and time.monotonic() < until:
            time.sleep(0.01)
        inside.write_whole(tmp_path / "go", str(time.monotonic()))
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    return json.loads((tmp_path / "result").read_text())


def test_the_service_reports_each_request(tmp_path: Path) -> None:
    result = run(tmp_path, "service", iterations=10, phases=[[1.0, 0.01]])
    assert result["due_s"] == pytest.approx([n / 100 for n in range(10)])
    assert len(result["took_s"]) == 10
    assert all(took > 0 for took in result["took_s"])


def test_batch_reports_the_cpu_time_of_all_its_processes(tmp_path: Path) -> None:
    assert run(tmp_path, "batch", processes=2, phases=[[0.02, 0.02]])["cpu_s"] > 0


@pytest.mark.parametrize(
    ("phases", "seconds", "expected"),
    [
        (((1.0, 0.25),), 0.9, [0.0, 0.25, 0.5, 0.75]),
        (((0.5, 0.25), (0.5, 0.5)), 1.6, [0.0, 0.25, 0.5, 1.0, 1.25, 1.5]),
    ],
)
def test_requests_arrive_by_the_clock_phase_after_phase(phases: Any, seconds: float, expected: list[float]) -> None:
    assert list(inside.arrivals(phases, seconds)) == expected


def test_a_request_that_costs_twice_the_time_has_twice_the_work() -> None:
    once, twice = inside.iterations_in(0.001), inside.iterations_in(0.002)
    assert twice == pytest.approx(2 * once, rel=0.9)
