"""Metrics, read from the rooms' plain counters at each scrape, so that counting costs the event path almost nothing.

Label values are bounded: hooks, fields, routes, events and outcomes; never pods, containers or cpusets.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from koordnri.chain import BUCKET_BOUNDS_NS, Chain
from koordnri.observe.decisions import DecisionLog
from koordnri.observe.log import LineWriter
from koordnri.observe.policy_warnings import PolicyWarnings
from koordnri.policy.standing import StandingPolicy
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


class Sources(Protocol):
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

    def watch_stats(self) -> Mapping[str, WatchStats]:
        """kind → counters of its watch; empty when the API server is not used."""

    def violation_counts(self) -> Mapping[str, int]:
        """Kind → number of violations, as in `koordnri status`."""

    def event_stats(self) -> EventStats | None:
        """Counters of the sender of Kubernetes Events; None when the API server is not used."""


class DaemonCollector(Collector):
    """All metrics of the daemon, except those of its process."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        """The current values."""
        parts = (
            *(self._session, self._hooks, self._decisions, self._violations, self._reconcile, self._records),
            *(self._cache, self._watches, self._kube_events, self._policy, self._faults),
        )
        for part in parts:
            metrics: list[Metric] = []
            with self._sources.faults.within("metrics"):
                metrics = list(part())
            yield from metrics

    def _session(self) -> Iterator[Metric]:
        session, handler = self._sources.session, self._sources.handler
        state = GaugeMetricFamily(
            "koordnri_connection_state", "1 for the state that the session with the runtime is in", labels=["state"]
        )
        for each in State:
            state.add_metric([each.value], float(session.state is each))
        yield state
        yield _gauge("koordnri_connected", "1 when registered and synchronized", session.state is State.SYNCHRONIZED)
        yield _counter("koordnri_registrations", "Registrations that the runtime accepted", session.stats.registrations)
        yield _counter(
            "koordnri_connections_lost", "Connections that ended without our asking", session.stats.connections_lost
        )
        events = CounterMetricFamily(
            "koordnri_events",
            "Requests of the runtime by outcome: ok, late (answered incomplete), refused, undecodable, error",
            labels=["event", "outcome"],
        )
        for (event, outcome), count in dict(session.stats.events).items():
            events.add_metric([event, outcome], count)
        yield events
        yield _counter(
            "koordnri_chain_overruns",
            "Events answered incomplete because the hooks' budget was used up",
            handler.overruns,
        )
        yield _counter(
            "koordnri_containers_never_started",
            "Containers whose creation was answered and that were removed before they had started",
            handler.life.never_started,
        )
        runtime = GaugeMetricFamily(
            "koordnri_runtime_info", "The runtime that we are registered with", labels=["name", "version", "nri"]
        )
        info = handler.runtime
        if info.name:
            runtime.add_metric([info.name, info.version, str(info.nri)], 1)
        yield runtime
        yield _counter(
            "koordnri_log_lines_lost", "Log lines dropped because nobody read them", self._sources.writer.lost
        )

    def _hooks(self) -> Iterator[Metric]:
        duration = HistogramMetricFamily(
            "koordnri_hook_duration_seconds", "Time of one hook for one container", labels=["hook"]
        )
        errors = CounterMetricFamily(
            "koordnri_hook_errors",
            "Hooks that could not decide, by whose fault: pod, policy, node, bug, late",
            labels=["hook", "fault"],
        )
        for name, stats in self._sources.chain.stats.items():
            total, buckets = 0, []
            for bound_ns, count in zip((*BUCKET_BOUNDS_NS, math.inf), list(stats.buckets), strict=True):
                total += count
                buckets.append(("+Inf" if bound_ns == math.inf else repr(bound_ns / 1e9), total))
            duration.add_metric([name], buckets, stats.total_ns / 1e9)
            for fault, count in dict(stats.errors).items():
                errors.add_metric([name, fault], count)
        yield duration
        yield errors

    def _decisions(self) -> Iterator[Metric]:
        fields = CounterMetricFamily(
            "koordnri_decided_fields", "Fields decided, by route", labels=["hook", "field", "route"]
        )
        for labels, count in dict(self._sources.decisions.fields).items():
            fields.add_metric(labels, count)
        yield fields
        pods, containers = self._sources.ledger.counts()
        yield _gauge("koordnri_pods", "Pods that the runtime has reported", pods)
        yield _gauge("koordnri_containers", "Containers in the ledger", containers)
        released = released_pods(self._sources.ledger, self._sources.handler.snapshot.node)
        yield _gauge(
            "koordnri_released_pods",
            "Pods that `koordnri release` gave back to kubelet, until the daemon restarts",
            len(released),
        )
        empty = GaugeMetricFamily(
            "koordnri_share_pool_empty",
            "1 while a share pool (ls, be) has no CPU left and uses taken ones",
            labels=["pool"],
        )
        for pool in ("LS", "BE"):
            empty.add_metric([pool.lower()], float(pool in self._sources.handler.snapshot.node.empty_pools))
        yield empty
        cpus = self._sources.handler.cpus
        yield _counter(
            "koordnri_exclusive_cpus_late",
            "Containers that started before all others had left their CPUs",
            0 if cpus is None else cpus.late,
        )

    def _violations(self) -> Iterator[Metric]:
        violations = GaugeMetricFamily(
            "koordnri_violations",
            "What should not be though nothing failed outright, by kind; koordnri status names each",
            labels=["kind"],
        )
        for kind, count in self._sources.violation_counts().items():
            violations.add_metric([kind], count)
        yield violations

    def _reconcile(self) -> Iterator[Metric]:
        stats = self._sources.reconciler.stats
        passes = CounterMetricFamily(
            "koordnri_reconcile_passes", "Passes over pods by trigger: change, pod, drift, sweep", labels=["trigger"]
        )
        for trigger, count in dict(stats.passes).items():
            passes.add_metric([trigger], count)
        yield passes
        writes = CounterMetricFamily(
            "koordnri_writes",
            "Cgroup files that did not have the decided value, by what came of writing it",
            labels=["field", "outcome"],
        )
        for (field, outcome), count in dict(stats.writes).items():
            writes.add_metric([field, outcome], count)
        yield writes
        yield from self._drift()
        failures = CounterMetricFamily(
            "koordnri_apply_failures",
            "Times that a decided value could not be brought about, by field, route and what came of it",
            labels=["field", "route", "reason"],
        )
        for labels, count in dict(stats.failures).items():
            failures.add_metric(labels, count)
        yield failures
        yield _gauge("koordnri_reconcile_pass_seconds", "Duration of the last pass", stats.last_pass_s)
        yield _gauge(
            "koordnri_change_to_verified_seconds",
            "From the last change of policy or node to the last file read back",
            stats.changed_to_verified_s,
        )

    def _drift(self) -> Iterator[Metric]:
        healed = CounterMetricFamily(
            "koordnri_drift_healed",
            "Files that lost their decided value and got it back, by who writes such a value: systemd, kubelet, runtime, unknown",
            labels=["field", "by"],
        )
        for labels, count in dict(self._sources.reconciler.undone.counts).items():
            healed.add_metric(labels, count)
        yield healed
        drift = self._sources.reconciler.drift
        yield _gauge(
            "koordnri_cgroup_watches", "Cgroup directories that are watched", 0 if drift is None else len(drift)
        )
        yield _gauge(
            "koordnri_cgroup_watches_refused",
            "Cgroup directories that the kernel does not watch for us; sweeps look there every 10 s",
            0 if drift is None else drift.refused,
        )
        yield _counter(
            "koordnri_cgroup_watch_overflows",
            "Times that the kernel dropped reports of written files, which a sweep answers",
            0 if drift is None else drift.overflows,
        )

    def _records(self) -> Iterator[Metric]:
        recorder = self._sources.recorder
        pushes = CounterMetricFamily(
            "koordnri_pushes",
            "Containers whose written values were to be recorded through the runtime: recorded, refused, failed, late",
            labels=["route", "outcome"],
        )
        for labels, count in dict(recorder.stats.pushes).items():
            pushes.add_metric(labels, count)
        yield pushes
        route = GaugeMetricFamily("koordnri_record_route_info", "The route by which is recorded now", labels=["route"])
        route.add_metric([recorder.route], 1)
        yield route
        yield _gauge("koordnri_record_routes_off", "Routes turned off because a push overran", len(recorder.stats.off))
        yield _gauge(
            "koordnri_unrecorded_containers",
            "Containers with values that are written, but not recorded in the runtime's stored spec",
            recorder.unrecorded,
        )

    def _cache(self) -> Iterator[Metric]:
        stats = self._sources.groups.stats
        read_only = GaugeMetricFamily(
            "koordnri_resctrl_read_only",
            "Why no group can be made and no thread moved: 1 by that reason",
            labels=["reason"],
        )
        if stats.read_only:
            read_only.add_metric([stats.read_only], 1)
        yield read_only
        yield _gauge("koordnri_resctrl_groups", "Resctrl groups of ours that exist", stats.groups)
        yield _gauge(
            "koordnri_resctrl_groups_refused", "Resctrl groups that are wanted and could not be made", stats.refused
        )
        actions = CounterMetricFamily(
            "koordnri_resctrl_actions",
            "What was done to resctrl groups: made, schemata, removed, emptied; and what came of it",
            labels=["action", "outcome"],
        )
        for labels, count in dict(stats.actions).items():
            actions.add_metric(labels, count)
        yield actions
        yield _counter("koordnri_resctrl_drift_healed", "Schemata that somebody had changed", stats.drift)
        yield _counter("koordnri_resctrl_threads_moved", "Threads moved into their group", stats.moved)
        yield _gauge(
            "koordnri_resctrl_threads_elsewhere", "Threads not in their group after the last pass", stats.unsettled
        )
        placed = CounterMetricFamily(
            "koordnri_resctrl_starts", "Containers at their start: placed, gone, missing, refused", labels=["outcome"]
        )
        for outcome, count in dict(stats.placed).items():
            placed.add_metric([outcome], count)
        yield placed
        occupancy = GaugeMetricFamily(
            "koordnri_resctrl_occupancy_bytes", "Last-level cache in use by a class", labels=["qos", "cache"]
        )
        for (qos, cache), used in dict(stats.occupancy_bytes).items():
            occupancy.add_metric([qos, str(cache)], used)
        yield occupancy
        traffic = CounterMetricFamily(
            "koordnri_resctrl_memory_bytes", "Memory traffic of a class since we look", labels=["qos", "cache", "kind"]
        )
        for (qos, cache, kind), moved in dict(stats.traffic_bytes).items():
            traffic.add_metric([qos, str(cache), kind], moved)
        yield traffic

    def _watches(self) -> Iterator[Metric]:
        restarts = CounterMetricFamily(
            "koordnri_watch_restarts", "Watches of the API server begun again, by reason", labels=["noun", "reason"]
        )
        for noun, stats in self._sources.watch_stats().items():
            for reason, count in dict(stats.restarts).items():
                restarts.add_metric([noun, str(reason)], count)
        yield restarts

    def _kube_events(self) -> Iterator[Metric]:
        posted = CounterMetricFamily("koordnri_kube_events_posted", "Kubernetes Events that were to be sent")
        dropped = CounterMetricFamily(
            "koordnri_kube_events_dropped",
            "Of these, the ones that were lost: too many waited, or the API server refused or did not answer",
        )
        requests = CounterMetricFamily(
            "koordnri_kube_event_requests",
            "Requests for these that the API server accepted; one request carries all repetitions of an Event so far",
        )
        stats = self._sources.event_stats()
        if stats is not None:
            posted.add_metric([], stats.posted)
            dropped.add_metric([], stats.dropped)
            requests.add_metric([], stats.sent)
        yield from (posted, dropped, requests)

    def _policy(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("koordnri_policy_info", "The policy that is in force", labels=["revision"])
        info.add_metric([self._sources.handler.snapshot.policy.revision], 1)
        yield info
        standing = self._sources.standing
        yield _gauge("koordnri_policy_good", "0 while the newest policy document is refused", standing.refused is None)
        yield _gauge(
            "koordnri_policy_warnings",
            "Parts of the policy in force that have no effect, or may not be meant",
            len(self._sources.policy_warnings.now),
        )
        yield _counter("koordnri_policy_accepted", "Policy documents taken", standing.acceptances)
        yield _counter("koordnri_policy_refused", "Policy documents refused", standing.refusals)

    def _faults(self) -> Iterator[Metric]:
        faults = CounterMetricFamily(
            "koordnri_contained_faults",
            "Bugs of ours that cost what they were in and no more: plan, write, settle, classes, resctrl, record, drift, cpus, reconcile, "
            "node, pod, policy, state, metrics",
            labels=["where"],
        )
        for where, count in dict(self._sources.faults.counts).items():
            faults.add_metric([where], count)
        yield faults


def make_registry(sources: Sources) -> CollectorRegistry:
    """A new registry (not the library's global one) with the daemon's and the process's metrics."""
    registry = CollectorRegistry()
    registry.register(DaemonCollector(sources))
    ProcessCollector(registry=registry)
    return registry


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=float(value))


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, value=value)
