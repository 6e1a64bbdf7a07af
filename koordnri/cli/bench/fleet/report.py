"""The figures of the part `fleet`, for programs and as text."""

from __future__ import annotations

from typing import Any

from koordnri.cli.bench.fleet import costs
from koordnri.cli.bench.fleet.simulation import AFTER_S, HAPPENS, Outcome, outcome

TITLES = {
    "steady": "nothing happens",
    "policy": "a new policy",
    "policy_annotated": "  with --annotate-node",
    "failover": "one of three API servers ends",
    "restart": "the only one was gone for 20 s",
}
MEGA = 1e6


def report(nodes: int) -> dict[str, Any]:
    """Simulate, and return the figures in the shape of `koordnri.cli.bench.command`."""
    connections = nodes * len(costs.KINDS)
    return {
        "nodes": nodes,
        "connections": connections,
        "connections_mib": round(connections * costs.WATCH_MEMORY_BYTES / (1 << 20)),
        "seconds": AFTER_S,
        "happens": {name: _figures(outcome(name, nodes)) for name in HAPPENS},
    }


def _figures(of: Outcome) -> dict[str, Any]:
    load = of.load
    return {
        "requests_per_s": round(load.requests_per_s, 1),
        "peak_requests_per_s": load.peak_requests_per_s,
        "mb_per_s": round(load.bytes_per_s / MEGA, 2),
        "peak_mb_per_s": round(load.peak_bytes_per_s / MEGA, 2),
        "peak_cpus": round(load.peak_cpus, 2),
        "refused": load.refused,
        "longest_wait_s": round(load.longest_wait_s, 3),
        "reached_s": {share: None if s is None else round(s, 2) for share, s in of.reached_s.items()},
        "requests": of.requests,
    }


def as_text(figures: dict[str, Any]) -> str:
    """The same figures as text."""
    head = ("", "requests/s", "peak", "MB/s", "peak", "CPUs, peak", "429", "policy on 99 %, s")
    widths = (34, 12, 7, 8, 8, 12, 6, 19)
    rows: list[tuple[str, ...]] = [head]
    for name, one in figures["happens"].items():
        values = (one["requests_per_s"], one["peak_requests_per_s"], one["mb_per_s"], one["peak_mb_per_s"])
        reached = one["reached_s"].get("99 %", "") if one["reached_s"] else ""
        rows.append((TITLES[name], *map(str, values), str(one["peak_cpus"]), str(one["refused"]), str(reached)))
    lines = [
        f"{figures['nodes']} nodes: {figures['connections']} connections to the API server, which take about"
        f" {figures['connections_mib']} MiB of it",
        f"a simulation; means and busiest seconds of {figures['seconds']} s",
        "",
    ]
    for row in rows:
        first, *others = (f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        lines.append(first.strip().ljust(widths[0]) + "".join(others) if row[0] else " " * widths[0] + "".join(others))
    return "\n".join(lines)
