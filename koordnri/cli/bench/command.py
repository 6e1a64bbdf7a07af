"""`koordnri bench`: what the daemon costs and how fast it is. It measures the real daemon in a separate process.

The shape of `-o json`, on which scripts may rely. Every run has

    {"nri": "0.12.2",               the NRI version imitated
     "pods": 250, "containers": 500,                     running before the measurement

the part `events` (times as the runtime measures them, over a unix socket)

     "requests": 2000,              containers created and removed
     "request_bytes": 5400,         mean size of a CreateContainer request
     "create_us": {"p50", "p90", "p99"},                 round trip of CreateContainer
     "create_us_by_kind": {"lsr" | "be" | "plain" | "gpu": {"p50", "p90", "p99"}},
     "remove_us": {"p50", "p90", "p99"},                 round trip of RemoveContainer
     "cpu_us_per_create_remove": 250.0,                  user and system time of the daemon
     "rss_mib": 55.0,                                    of the daemon, after it was sent all pods and containers
     "start_to_registered_s": 0.3,                       from starting the process until it has answered Configure
     "start_to_synchronized_s": 0.4,                     … and Synchronize
     "floor": {"create_us": {…}, "cpu_us_per_create_remove",  of a bare plugin, which parses each request and answers nothing
               "create_p50_ratio", "cpu_ratio"},         the daemon's figures divided by the bare plugin's
     "scaling": {"p50_us_0", "p50_us_2000", "ratio"}}    p50 with 0 and with 2000 running containers; near 1: it does not grow

the part `life`

     "life": {"v2" | "v1": {"back_to_back" | "with_gap": {        of a pod with one container, on that cgroup version; with a pause of
                                                         30 ms between sandbox and container, or none
         "life_us": {"p50", "p90", "p99"},               what the runtime waits for in all events of it
         "bare_us": {…},                                 … with the bare plugin
         "ratio": {…}}}}                                 the first divided by the second

and the part `reconcile`

     "reconcile": {
         "verified_s": {"min", "p50", "max"},            from a change of policy until every container's files are written and read back
         "recorded_s": {"min", "p50", "max"},            … and recorded; null where `auto` records with replies to later events
         "unchanged_cpu_ms": {"everything" | "defaults": {"min", "p50", "max"}},
                                                         an edit of the policy that changes nothing on this node
         "healed_ms": {"p50", "p90", "p99"},             from a foreign write into a container's file until it has the decided value
         "sweep_cpu_ms": {"everything": 8.0, "defaults"},      comparing a sixth of all files with the decisions; every 10 s
         "idle_cpu_percent": {"everything": 0.2, "defaults"},  of one core, sweeps included
         "create_us": {"idle" | "flipping": {"p50", "p90", "p99"}, "p99_ratio": 1.5},
                                                         CreateContainer on an idle daemon, and while the policy changes every 200 ms
         "cleared_s": {"min", "p50", "max"},             from CreateContainer of one that the node gives exclusive CPUs, until as many
                                                         others have left them and it may start
         "allocated_ms": {"min", "p50", "max"},          choosing a CPU for the last of 200 such pods on 384 CPUs, share pools included
         "targets": {"verified_s": 0.3, …}}}             largest acceptable values, with 500 containers
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from koordnri.wire.versions import Version

PARTS = ("events", "life", "reconcile")


def report(parts: tuple[str, ...], requests: int, containers: int, version: Version) -> dict[str, Any]:
    """Measure, and return the figures in the shape above. Raises BenchError."""
    from koordnri.cli.bench import events as bench_events
    from koordnri.cli.bench import life as bench_life
    from koordnri.cli.bench import reconcile as bench_reconcile

    figures: dict[str, Any] = {"nri": str(version), "pods": (containers + 1) // 2, "containers": containers}
    if "events" in parts:
        figures |= bench_events.report(requests, containers, version)
    if "life" in parts:
        figures["life"] = bench_life.report(containers, version)
    if "reconcile" in parts:
        figures["reconcile"] = bench_reconcile.report(containers, version)
    return figures


def as_text(figures: dict[str, Any]) -> str:
    """The same figures as text."""
    from koordnri.cli.bench import events as bench_events
    from koordnri.cli.bench import life as bench_life
    from koordnri.cli.bench import reconcile as bench_reconcile

    texts = [f"NRI {figures['nri']}, beside {figures['pods']} pods with {figures['containers']} containers"]
    if "requests" in figures:
        texts.append(bench_events.as_text(figures))
    if "life" in figures:
        texts.append(bench_life.as_text(figures["life"]))
    if "reconcile" in figures:
        texts.append(bench_reconcile.as_text(figures["reconcile"]))
    return "\n\n".join(texts)


def _version(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Version:
    from koordnri.runtime import LATEST
    from koordnri.runtime.identity import version_with
    from koordnri.wire.versions import parse_version

    version = LATEST if value is None else parse_version(value)
    if version is None:
        raise click.BadParameter(f'expected a version such as 0.8.0, got "{value}"')
    try:
        version_with("containerd", version)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return version


@click.command()
@click.option("--part", type=click.Choice(PARTS), help="measure only this  [default: all, in about three minutes]")
@click.option(
    "-n",
    "requests",
    type=click.IntRange(1, 1_000_000),
    default=2000,
    show_default=True,
    help="containers to create, of the part events",
)
@click.option(
    "--containers",
    type=click.IntRange(0, 100_000),
    default=500,
    show_default=True,
    help="that run already, two per pod",
)
@click.option("--nri-version", callback=_version, help="of the runtime to imitate  [default: the newest known]")
@click.option("-o", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def bench(part: str | None, requests: int, containers: int, nri_version: Version, output: str) -> None:
    """Measure the real daemon, in another process, against an embedded runtime.

    Part events: what the runtime waits for. Part life: what it waits for in a pod's whole life. Part reconcile: how what runs follows
    another policy.
    """
    import json

    from koordnri.cli.bench.figures import BenchError

    try:
        figures = report(PARTS if part is None else (part,), requests, containers, nri_version)
    except BenchError as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(figures, indent=2) if output == "json" else as_text(figures))
