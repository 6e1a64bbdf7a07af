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

the part `injection`: two daemons in turn

     "injection": {
         "create_us": {"off" | "on": {"p50", "p90", "p99"}},    without injection, and with every kind of it for everybody
         "create_p50_ratio": 1.04,                       on divided by off
         "cpu_us_per_create_remove": {"off": 700.0, "on"}, "cpu_ratio": 1.05}

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

The part `scale` takes ten minutes, so it is measured only when it is named. Then the whole is

    {"scale": {ROW: {"10": 1.0, "100", "500", "2000"}}}  by the number of containers; medians of three daemons. ROW: "start_cpu_ms" (until
                                                         it is idle after Synchronize and the first pass), "synchronize_s" (not CPU
                                                         time), "create_cpu_us" (and remove), "full_pass_cpu_ms", "sweep_cpu_ms" (every
                                                         10 s), "between_cpu_percent" (of a core, between sweeps), "rss_mib"

The part `fleet` is a simulation, and only when it is named. Then the whole is

    {"fleet": {
         "nodes": 5000, "connections": 20000,            all daemons', to one API server
         "connections_mib": 1035,                        its memory for them
         "seconds": 180,                                 of virtual time after what happened, to which the figures belong
         "happens": {"steady" | "policy" | "policy_annotated" | "failover" | "restart": {
             "requests_per_s", "peak_requests_per_s",    on average, and in the busiest second
             "mb_per_s", "peak_mb_per_s",                sent by the API server
             "peak_cpus": 2.1,                           CPU seconds that it needs in its busiest second
             "refused": 0,                               requests answered with 429
             "longest_wait_s": 0.0,                      of a request, before the API server began with it
             "reached_s": {"50 %", "99 %", "all"},       until so many nodes had the new policy; null: not in this time; {}: there was none
             "requests": [...]}}}}                       per second

The part `isolation` needs a real runtime and is measured only when it is named. Then the whole is

    {"isolation": {
         "node": {"kernel", "cpus", "cgroups", "runtime", "date"}, "rounds": 5, "seconds": 5.0,
         "designs": {"D1": {
             "question": what is compared,
             "arms": {"alone": {F: {"q1", "median", "q3"}}},    over the rounds that count. F: "p50_ms", "p99_ms", "p99.9_ms" of the
                                                         service's requests, "worst_window_ms": the worst mean of 100 ms,
                                                         "request_cpu_ms": CPU time of a request, "batch_cpu_s": of batch,
                                                         "batch_mib": MiB that batch work read or wrote,
                                                         "quota_m" (quota burst): the service's quota at the end, milli-CPUs,
                                                         "acted_s" (suppress): from the service's first request until half of what it
                                                         uses was taken from batch's quota in the kernel; "seconds": it was
                                                         not; no figure: batch had less than that already
             "kept_rounds": 5, "thrown_away": [why a round does not count],   0: none counts, and "arms" has all, to look at only
             "says": [a sentence per arm]}},
         "skipped": {"D4" | "D5 io.latency": why this design or arm cannot be measured here}}}
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from koordnri.wire.versions import Version

PARTS = ("events", "life", "injection", "reconcile")
ISOLATION = "isolation"
SCALE = "scale"
FLEET = "fleet"
DESIGNS = ("D1", "D2", "D3", "D4", "D5")


def report(parts: tuple[str, ...], requests: int, containers: int, version: Version) -> dict[str, Any]:
    """Measure, and return the figures in the shape above. Raises BenchError."""
    from koordnri.cli.bench import events as bench_events
    from koordnri.cli.bench import injection as bench_injection
    from koordnri.cli.bench import life as bench_life
    from koordnri.cli.bench import reconcile as bench_reconcile

    figures: dict[str, Any] = {"nri": str(version), "pods": (containers + 1) // 2, "containers": containers}
    if "events" in parts:
        figures |= bench_events.report(requests, containers, version)
    if "life" in parts:
        figures["life"] = bench_life.report(containers, version)
    if "injection" in parts:
        figures["injection"] = bench_injection.report(requests, containers, version)
    if "reconcile" in parts:
        figures["reconcile"] = bench_reconcile.report(containers, version)
    return figures


def as_text(figures: dict[str, Any]) -> str:
    """The same figures as text."""
    from koordnri.cli.bench import events as bench_events
    from koordnri.cli.bench import injection as bench_injection
    from koordnri.cli.bench import life as bench_life
    from koordnri.cli.bench import reconcile as bench_reconcile

    texts = [f"NRI {figures['nri']}, beside {figures['pods']} pods with {figures['containers']} containers"]
    if "requests" in figures:
        texts.append(bench_events.as_text(figures))
    if "life" in figures:
        texts.append(bench_life.as_text(figures["life"]))
    if "injection" in figures:
        texts.append(bench_injection.as_text(figures["injection"]))
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
@click.option(
    "--part",
    type=click.Choice([*PARTS, SCALE, FLEET, ISOLATION]),
    help="measure only this  [default: all but scale, fleet and isolation, in about three minutes]",
)
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
@click.option("--nodes", type=click.IntRange(1, 100_000), default=5000, show_default=True, help="of the part fleet")
@click.option("--nri-version", callback=_version, help="of the runtime to imitate  [default: the newest known]")
@click.option(
    "--runtime-endpoint",
    type=click.Path(path_type=Path),
    default=Path("/run/containerd/containerd.sock"),
    show_default=True,
    help="CRI socket, of the part isolation",
)
@click.option(
    "--nri-socket",
    type=click.Path(path_type=Path),
    default=Path("/var/run/nri/nri.sock"),
    show_default=True,
    help="the same runtime's NRI socket, of the part isolation",
)
@click.option(
    "--image",
    default="registry.k8s.io/pause:3.10",
    show_default=True,
    help="of the pods of the part isolation, which the runtime must have. They run this machine's Python, so any will do",
)
@click.option(
    "--design", "designs", multiple=True, type=click.Choice(DESIGNS), help="measure only these of the part isolation"
)
@click.option("--rounds", type=click.IntRange(1, 100), default=5, show_default=True, help="of the part isolation")
@click.option(
    "--seconds",
    type=click.FloatRange(0.5, 600),
    default=5.0,
    show_default=True,
    help="of each arm in each round, of the part isolation",
)
@click.option("-o", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def bench(
    part: str | None,
    requests: int,
    containers: int,
    nodes: int,
    nri_version: Version,
    output: str,
    **isolation: Any,
) -> None:
    """Measure the real daemon, in another process, against an embedded runtime.

    Part events: what the runtime waits for. Part life: what it waits for in a pod's whole life. Part reconcile: how what runs follows
    another policy.

    Part scale: CPU time and memory beside 10, 100, 500 and 2000 containers, in ten minutes.

    Part fleet: what the daemons of a large cluster cost its API server. A simulation with the daemon's own code, two minutes for 5000
    nodes.

    Part isolation: what the daemon's settings are worth to a service beside batch work. It runs pods on a real runtime, on a node
    without kubelet and other pods, as root; a design takes some minutes.
    """
    import json

    from koordnri.cli.bench.figures import BenchError

    try:
        if part == ISOLATION:
            figures, text = _isolation(isolation)
        elif part == SCALE:
            figures, text = _scale(nri_version)
        elif part == FLEET:
            figures, text = _fleet(nodes)
        else:
            figures = report(PARTS if part is None else (part,), requests, containers, nri_version)
            text = as_text
    except BenchError as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(figures, indent=2) if output == "json" else text(figures))


def _scale(version: Version) -> tuple[dict[str, Any], Callable[[dict[str, Any]], str]]:
    from koordnri.cli.bench import scale as bench_scale

    figures = {SCALE: bench_scale.report(version)}
    return figures, lambda all_figures: bench_scale.as_text(all_figures[SCALE])


def _fleet(nodes: int) -> tuple[dict[str, Any], Callable[[dict[str, Any]], str]]:
    from koordnri.cli.bench.fleet import report as bench_fleet

    figures = {FLEET: bench_fleet.report(nodes)}
    return figures, lambda all_figures: bench_fleet.as_text(all_figures[FLEET])


def _isolation(options: dict[str, Any]) -> tuple[dict[str, Any], Callable[[dict[str, Any]], str]]:
    from koordnri.cli.bench.isolation import report as bench_isolation
    from koordnri.cli.bench.isolation.table import as_text

    figures = {ISOLATION: bench_isolation.report(bench_isolation.Where(**options))}
    return figures, lambda all_figures: as_text(all_figures[ISOLATION])
