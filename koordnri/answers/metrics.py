"""`GET /metrics`: values, read from the rooms' plain counters at each scrape, so that counting costs the event path almost nothing.

What a metric is called and means is a row of koordnri.observe.metric_table. A row without a value here, or a value without a row, fails
the import.
Label values are bounded: hooks, fields, routes, events and outcomes; never pods, containers or cpusets.
"""

from __future__ import annotations

import functools
import math
import platform
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from koordnri.answers.controllers import suppressed_cpus
from koordnri.chain import BUCKET_BOUNDS_NS, Chain, HookStats
from koordnri.control.loop import ControlLoop
from koordnri.observe.decisions import DecisionLog
from koordnri.observe.log import LineWriter
from koordnri.observe.metric import MetricRow
from koordnri.observe.metric_table import TABLE
from koordnri.observe.policy_warnings import PolicyWarnings
from koordnri.policy.standing import StandingPolicy
from koordnri.reconcile.drift import Drift
from koordnri.reconcile.reconciler import Reconciler
from koordnri.reconcile.recorder import Recorder
from koordnri.resctrl.groups import ResctrlGroups
from koordnri.session.handler import EventHandler
from koordnri.session.plugin import PluginSession
from koordnri.session.registration import State
from koordnri.state.containment import Faults
from koordnri.state.ledger import Ledger
from koordnri.state.released import released_pods

if TYPE_CHECKING:  # only the daemon's cluster uses kube; here its counters have a name, no more
    from koordnri.kube import WatchStats
    from koordnri.kube.events import EventStats


class MetricSources(Protocol):
    """What the metrics are read from. The daemon has it all."""

    session: PluginSession
    handler: EventHandler
    chain: Chain
    ledger: Ledger
    decisions: DecisionLog
    reconciler: Reconciler
    writer: LineWriter
    recorder: Recorder
    groups: ResctrlGroups
    standing: StandingPolicy
    policy_warnings: PolicyWarnings
    faults: Faults
    control_loop: ControlLoop

    def watch_stats(self) -> Mapping[str, WatchStats]:
        """kind → counters of its watch; empty when the API server is not used."""

    def violation_counts(self) -> Mapping[str, int]:
        """Kind → number of violations, as in `koordnri status`."""

    def cpu_counts(self) -> Mapping[str, int]:
        """`exclusive` and `shared` → number of CPUs, as in `koordnri status`; what is not known is left out."""

    def throttled_s(self) -> Mapping[str, float]:
        """QoS class → s that its pods were held back by their CPU quota."""

    def waiting_s(self) -> Mapping[str, float]:
        """QoS class → s that its pods waited for a CPU; empty on a kernel without PSI."""

    def eviction_counts(self) -> Mapping[tuple[str, str], int]:
        """(feature, outcome) → pods that were to be evicted."""

    def wait_counts(self) -> Mapping[tuple[str, str], int]:
        """(resource, kind) → pods that waited beyond their class' target."""

    def event_stats(self) -> EventStats | None:
        """Counters of the sender of Kubernetes Events; None when the API server is not used."""


class Histogram(NamedTuple):
    """The values of one histogram: (upper bound as text, number of values up to it), and the sum of all values."""

    buckets: list[tuple[str, float]]
    total: float


Value = float | None | Mapping[Any, float | Histogram]
"""Of a metric without labels a number, or None while there is no value; else the value of its label, or a tuple of them → number"""


def _hook_errors(sources: MetricSources) -> Value:
    stats = dict(sources.chain.stats)
    return {(name, fault): count for name, each in stats.items() for fault, count in dict(each.errors).items()}


def _hook_durations(sources: MetricSources) -> Value:
    return {name: _histogram(stats) for name, stats in dict(sources.chain.stats).items()}


def _histogram(stats: HookStats) -> Histogram:
    count, buckets = 0, []
    for bound_ns, more in zip((*BUCKET_BOUNDS_NS, math.inf), list(stats.buckets), strict=True):
        count += more
        buckets.append(("+Inf" if bound_ns == math.inf else repr(bound_ns / 1e9), float(count)))
    return Histogram(buckets, stats.total_ns / 1e9)


def _runtime(sources: MetricSources) -> Value:
    info = sources.handler.runtime
    return {(info.name, info.version, info.nri): 1} if info.name else {}


@functools.cache
def _version() -> str:
    return metadata.version("koordnri")  # reads a file


def _empty_pools(sources: MetricSources) -> Value:
    empty = sources.handler.snapshot.node.empty_pools
    return {pool.lower(): pool in empty for pool in ("LS", "BE")}


def _late(sources: MetricSources) -> Value:
    cpus = sources.handler.cpus
    return 0 if cpus is None else cpus.late


def _read_only(sources: MetricSources) -> Value:
    reason = sources.groups.stats.read_only
    return {reason: 1} if reason else {}


def _watch_restarts(sources: MetricSources) -> Value:
    watches = sources.watch_stats().items()
    return {(noun, reason): count for noun, stats in watches for reason, count in dict(stats.restarts).items()}


def _of_drift(figure: Callable[[Drift], float]) -> Callable[[MetricSources], Value]:
    """A figure of the drift watcher; 0 on a node that has none."""

    def value(sources: MetricSources) -> Value:
        drift = sources.reconciler.drift
        return 0 if drift is None else figure(drift)

    return value


def _of_events(figure: Callable[[EventStats], float]) -> Callable[[MetricSources], Value]:
    """A counter of the sender of Events; no value without the API server."""

    def value(sources: MetricSources) -> Value:
        stats = sources.event_stats()
        return None if stats is None else figure(stats)

    return value


VALUES: Mapping[str, Callable[[MetricSources], Value]] = {
    "koordnri_connected": lambda s: s.session.state is State.SYNCHRONIZED,
    "koordnri_connection_state": lambda s: {each.value: s.session.state is each for each in State},
    "koordnri_registrations": lambda s: s.session.stats.registrations,
    "koordnri_connections_lost": lambda s: s.session.stats.connections_lost,
    "koordnri_runtime_info": _runtime,
    "koordnri_events": lambda s: s.session.stats.events,
    "koordnri_containers_never_started": lambda s: s.handler.life.never_started,
    "koordnri_chain_overruns": lambda s: s.handler.overruns,
    "koordnri_hook_duration_seconds": _hook_durations,
    "koordnri_hook_errors": _hook_errors,
    "koordnri_decided_fields": lambda s: s.decisions.fields,
    "koordnri_trust_refusals": lambda s: s.decisions.verdicts,
    "koordnri_pods": lambda s: s.ledger.counts()[0],
    "koordnri_containers": lambda s: s.ledger.counts()[1],
    "koordnri_released_pods": lambda s: len(released_pods(s.ledger, s.handler.snapshot.node)),
    "koordnri_cpus": lambda s: s.cpu_counts(),
    "koordnri_controller_ticks": lambda s: s.control_loop.stats.ticks,
    "koordnri_controller_tick_seconds": lambda s: s.control_loop.stats.tick_s,
    "koordnri_controller_actuations": lambda s: s.control_loop.stats.actuations,
    "koordnri_noisy_neighbour": lambda s: s.wait_counts(),
    "koordnri_suppressed_cpus": lambda s: suppressed_cpus(s.handler.snapshot.node),
    "koordnri_evictions": lambda s: s.eviction_counts(),
    "koordnri_share_pool_empty": _empty_pools,
    "koordnri_exclusive_cpus_late": _late,
    "koordnri_throttled_seconds": lambda s: s.throttled_s(),
    "koordnri_waiting_seconds": lambda s: s.waiting_s(),
    "koordnri_violations": lambda s: s.violation_counts(),
    "koordnri_policy_info": lambda s: {s.handler.snapshot.policy.revision: 1},
    "koordnri_policy_good": lambda s: s.standing.refused is None,
    "koordnri_policy_warnings": lambda s: len(s.policy_warnings.now),
    "koordnri_policy_accepted": lambda s: s.standing.acceptances,
    "koordnri_policy_refused": lambda s: s.standing.refusals,
    "koordnri_reconcile_passes": lambda s: s.reconciler.stats.passes,
    "koordnri_reconcile_pass_seconds": lambda s: s.reconciler.stats.last_pass_s,
    "koordnri_change_to_verified_seconds": lambda s: s.reconciler.stats.changed_to_verified_s,
    "koordnri_writes": lambda s: s.reconciler.stats.writes,
    "koordnri_apply_failures": lambda s: s.reconciler.stats.failures,
    "koordnri_drift_healed": lambda s: s.reconciler.undone.counts,
    "koordnri_cgroup_watches": _of_drift(len),
    "koordnri_cgroup_watches_refused": _of_drift(lambda drift: drift.refused),
    "koordnri_cgroup_watch_overflows": _of_drift(lambda drift: drift.overflows),
    "koordnri_pushes": lambda s: s.recorder.stats.pushes,
    "koordnri_record_route_info": lambda s: {s.recorder.route: 1},
    "koordnri_record_routes_off": lambda s: len(s.recorder.stats.off),
    "koordnri_unrecorded_containers": lambda s: s.recorder.unrecorded,
    "koordnri_resctrl_read_only": _read_only,
    "koordnri_resctrl_groups": lambda s: s.groups.stats.groups,
    "koordnri_resctrl_groups_refused": lambda s: s.groups.stats.refused,
    "koordnri_resctrl_actions": lambda s: s.groups.stats.actions,
    "koordnri_resctrl_drift_healed": lambda s: s.groups.stats.drift,
    "koordnri_resctrl_threads_moved": lambda s: s.groups.stats.moved,
    "koordnri_resctrl_threads_elsewhere": lambda s: s.groups.stats.unsettled,
    "koordnri_resctrl_starts": lambda s: s.groups.stats.placed,
    "koordnri_resctrl_occupancy_bytes": lambda s: s.groups.stats.occupancy_bytes,
    "koordnri_resctrl_memory_bytes": lambda s: s.groups.stats.traffic_bytes,
    "koordnri_watch_restarts": _watch_restarts,
    "koordnri_kube_events_posted": _of_events(lambda stats: stats.posted),
    "koordnri_kube_events_dropped": _of_events(lambda stats: stats.dropped),
    "koordnri_kube_event_requests": _of_events(lambda stats: stats.sent),
    "koordnri_build_info": lambda s: {(_version(), platform.python_version()): 1},
    "koordnri_log_lines_lost": lambda s: s.writer.lost,
    # The last: what was contained in the others is counted in the same scrape.
    "koordnri_contained_faults": lambda s: s.faults.counts,
}
"""name → value, in the order of a scrape"""

if VALUES.keys() != TABLE.keys():
    raise RuntimeError(f"metric_table.py and metrics.py name other metrics: {sorted(VALUES.keys() ^ TABLE.keys())}")


_FAMILIES: Mapping[str, Callable[..., Any]] = {
    "gauge": GaugeMetricFamily,
    "counter": CounterMetricFamily,
    "histogram": HistogramMetricFamily,
}


class DaemonCollector(Collector):
    """All metrics of the daemon, except those of its process."""

    def __init__(self, sources: MetricSources) -> None:
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        """The current values. A bug costs the one metric that it is in."""
        for name, read in VALUES.items():
            family: Metric | None = None
            with self._sources.faults.within("metrics"):
                family = make_family(TABLE[name], read(self._sources))
            if family is not None:
                yield family


def make_family(row: MetricRow, value: Value) -> Metric:
    """The metric with its samples, as the library writes it. Raises ValueError when the labels are not as many as the row's."""
    family: Any = _FAMILIES[row.type](row.name, row.help, labels=row.labels)
    samples: Mapping[Any, float | Histogram]
    samples = value if isinstance(value, Mapping) else {} if value is None else {(): value}
    for key, one in dict(samples).items():  # a copy: other threads may add to the original
        if isinstance(one, Histogram):
            family.add_metric(_texts(row, key), one.buckets, one.total)
        else:
            family.add_metric(_texts(row, key), float(one))
    made: Metric = family
    return made


def _texts(row: MetricRow, key: object) -> list[str]:
    texts = [str(label) for label in (key if isinstance(key, tuple) else (key,))]
    if len(texts) != len(row.labels):
        raise ValueError(f"{row.name}: expected values of the labels {row.labels}, got {texts}")
    return texts


def make_registry(sources: MetricSources) -> CollectorRegistry:
    """A new registry (not the library's global one) with the daemon's and the process's metrics."""
    registry = CollectorRegistry()
    registry.register(DaemonCollector(sources))
    ProcessCollector(registry=registry)
    return registry
