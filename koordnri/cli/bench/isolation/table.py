"""The figures of the part `isolation` as text."""

from __future__ import annotations

from typing import Any

COLUMNS = {
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "p99.9_ms": "p99.9 ms",
    "worst_window_ms": "worst 100 ms",
    "batch_cpu_s": "batch CPU s",
    "batch_mib": "batch MiB",
    "quota_m": "quota m",
    "acted_s": "acted after s",
}


def as_text(figures: dict[str, Any]) -> str:
    """The same figures as text: of each the median, and the quartiles in brackets."""
    node = figures["node"]
    lines = [
        f"{node['runtime']}, kernel {node['kernel']}, {node['cpus']} CPUs, cgroup {node['cgroups']}, {node['date']}",
        f"{figures['rounds']} rounds, {figures['seconds']:g} s per arm and round: median (first to third quartile)",
    ]
    for name, design in figures["designs"].items():
        shown = {key: title for key, title in COLUMNS.items() if any(key in of for of in design["arms"].values())}
        lines += ["", f"{name}: {design['question']}"]
        lines.append(f"{'':16}" + "".join(f"{title:>20}" for title in shown.values()))
        for arm, of in design["arms"].items():
            lines.append(f"{arm:16}" + "".join(f"{_cell(of.get(column)):>20}" for column in shown))
        lines += design["says"]
        lines += [f"thrown away: {why}" for why in design["thrown_away"]]
    lines += [f"{name}: {why}" for name, why in figures["skipped"].items()]
    return "\n".join(lines)


def _cell(spread: dict[str, float] | None) -> str:
    if spread is None:
        return "-"
    return f"{_number(spread['median'])} ({_number(spread['q1'])}-{_number(spread['q3'])})"


def _number(value: float) -> str:
    """Three digits, or more before the point."""
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"
