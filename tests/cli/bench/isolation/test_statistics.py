"""Percentiles of a service's requests, quartiles over rounds, and rounds that do not count."""

from typing import Any

import pytest

from koordnri.cli.bench.isolation.plan import ALONE
from koordnri.cli.bench.isolation.statistics import latencies, quartiles, summary, unstable


def test_percentiles_are_measured_values_in_ms() -> None:
    took_s = [n / 1000 for n in range(1001)]
    figures = latencies([0.0] * 1001, took_s)
    assert (figures["p50_ms"], figures["p99_ms"], figures["p99.9_ms"]) == pytest.approx((500.0, 990.0, 999.0))


def test_the_worst_window_is_the_highest_mean_of_100_ms() -> None:
    due_s = [0.0, 0.05, 0.11, 0.15, 0.21]
    took_s = [0.001, 0.001, 0.010, 0.030, 0.015]
    assert latencies(due_s, took_s)["worst_window_ms"] == pytest.approx(20.0)


@pytest.mark.parametrize(
    ("values", "expected"), [([3.0], (3, 3, 3)), ([1.0, 2.0, 3.0, 4.0, 5.0], (2, 3, 4)), ([5.0, 1.0], (2, 3, 4))]
)
def test_quartiles(values: list[float], expected: tuple[float, ...]) -> None:
    assert quartiles(values) == expected


def rounds_of(*p99_ms: float) -> list[dict[str, dict[str, float]]]:
    alone = {"p50_ms": 0.55, "request_cpu_ms": 0.5}
    return [{ALONE: {"p99_ms": one, **alone}, "none": {"p99_ms": 10 * one, **alone}} for one in p99_ms]


def test_a_round_whose_service_was_disturbed_while_alone_is_thrown_away_with_the_reason() -> None:
    assert unstable(rounds_of(1.0, 1.1, 2.3, 0.9, 1.0)) == {
        2: "round 3: alone, p99 was 2.30 ms, and 1.00 ms is usual here"
    }


def test_a_round_is_thrown_away_when_requests_waited_for_a_cpu_though_the_service_was_alone() -> None:
    rounds: list[Any] = rounds_of(1.0, 1.0)
    rounds[1][ALONE]["p50_ms"] = 0.8
    assert unstable(rounds) == {
        1: "round 2: alone, p50 was 0.80 ms, and a request takes 0.50 ms of CPU: others use the CPUs"
    }
    assert unstable(rounds, reads=True) == {}


def test_rounds_that_differ_a_little_all_count() -> None:
    assert unstable(rounds_of(1.0, 1.9, 1.2)) == {}
    assert unstable(rounds_of(1.0)) == {}


def test_the_summary_has_each_arms_figures_over_all_rounds() -> None:
    found = summary(rounds_of(1.0, 3.0, 2.0))
    assert found[ALONE]["p99_ms"] == (1.5, 2.0, 2.5)
    assert found["none"]["p99_ms"].median == 20.0


def test_a_figure_that_a_round_lacks_is_that_of_the_others() -> None:
    rounds: list[Any] = rounds_of(1.0, 1.0, 1.0)
    rounds[1]["none"]["acted_s"], rounds[2]["none"]["acted_s"] = 1.0, 2.0
    assert summary(rounds)["none"]["acted_s"].median == 1.5
