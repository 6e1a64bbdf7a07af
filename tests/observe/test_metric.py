"""Names of a metric in queries, and the query whether a counter rises."""

from __future__ import annotations

import pytest

from koordnri.observe.metric import MetricRow, Type, rises


@pytest.mark.parametrize(
    ("kind", "samples"),
    [("gauge", ("a",)), ("counter", ("a_total",)), ("histogram", ("a_bucket", "a_count", "a_sum"))],
)
def test_names_in_queries_are_those_of_the_type(kind: Type, samples: tuple[str, ...]) -> None:
    assert MetricRow("a", kind, (), "help").samples == samples


def test_a_series_that_began_within_the_window_has_risen_by_its_value() -> None:
    assert rises("a_total", "5m") == "(a_total unless a_total offset 5m) > 0 or increase(a_total[5m]) > 0"
