"""What is known of one metric besides its value: a row of the table, and the alert that it is worth."""

from __future__ import annotations

from typing import Literal, NamedTuple

Type = Literal["gauge", "counter", "histogram"]
Severity = Literal["critical", "warning", "info"]


class Alert(NamedTuple):
    """An alert of Prometheus on one metric.

    expr      PromQL; one alert per series of its result
    hold      how long it must hold before it fires, as Prometheus writes it: `5m`
    summary   one line for whoever is called, with labels as Prometheus writes them: `{{ $labels.kind }}`
    """

    name: str
    expr: str
    hold: str
    severity: Severity
    summary: str


class MetricRow(NamedTuple):
    """One metric.

    name      without the `_total` that Prometheus adds to a counter
    labels    names; the values are bounded: never a pod, a container or a cpuset
    help      one line, as in /metrics
    unit      `seconds`, `bytes`, …; "" for a plain number
    meaning   what a value that attracts attention means, and what to do; Markdown for docs/use/metrics.md, "" for nothing to add
    """

    name: str
    type: Type
    labels: tuple[str, ...]
    help: str
    unit: str = ""
    meaning: str = ""
    alert: Alert | None = None

    @property
    def sample(self) -> str:
        """The name in queries."""
        return f"{self.name}_total" if self.type == "counter" else self.name

    @property
    def samples(self) -> tuple[str, ...]:
        """All names in queries: of a histogram there are three."""
        if self.type == "histogram":
            return f"{self.name}_bucket", f"{self.name}_count", f"{self.name}_sum"
        return (self.sample,)


def rises(series: str, window: str) -> str:
    """PromQL: this counter has risen in the window. `increase` alone misses the first count, because a series begins with it."""
    return f"({series} unless {series} offset {window}) > 0 or increase({series}[{window}]) > 0"
