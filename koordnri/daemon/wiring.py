"""Builds the daemon's parts, each from those made before it. Nothing runs yet, and nothing is set later."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import generate_latest

from koordnri.answers.class_times import ClassClock
from koordnri.answers.cpu_survey import CPUSurveys
from koordnri.answers.explain import ExplainSources
from koordnri.answers.mark import mark
from koordnri.answers.metrics import make_registry
from koordnri.answers.questions import AnswerSources, make_questions
from koordnri.answers.status import StatusSources, cpu_counts, violation_counts
from koordnri.chain import Chain, load_hooks
from koordnri.control.around import Around
from koordnri.control.loop import ControlLoop
from koordnri.control.sampler import Sampler
from koordnri.cpus.allocator import Allocator
from koordnri.daemon.admission import Admission
from koordnri.daemon.changes import Changes
from koordnri.daemon.cluster_parts import make_cluster
from koordnri.daemon.config import Config
from koordnri.daemon.confinement import NOT_CONFINED
from koordnri.daemon.control import Operator
from koordnri.daemon.controlled import Controlled
from koordnri.daemon.controllers import applications_there, controllers
from koordnri.daemon.ending import Ending
from koordnri.daemon.events import Events
from koordnri.daemon.eviction import Eviction
from koordnri.daemon.exclusive_cpus import ExclusiveCPUs
from koordnri.daemon.machine import HostMachine, HostReader
from koordnri.daemon.neighbour_watch import NeighbourWatch
from koordnri.daemon.node_facts import ReportedFacts
from koordnri.daemon.policy_sources import PolicySources
from koordnri.daemon.readiness import Readiness
from koordnri.daemon.recording import Recording
from koordnri.daemon.reports import ReconcilerReports
from koordnri.daemon.runtime_absence import RuntimeAbsence
from koordnri.daemon.unstarted import Unstarted
from koordnri.hook import Hook
from koordnri.host import read_node
from koordnri.host.cgroup.files import PacedFiles
from koordnri.host.cgroup.spelling import file_names
from koordnri.host.cgroup.watch import CgroupWatch
from koordnri.host.interrupts import InterruptFiles
from koordnri.host.resctrl_groups import ResctrlTree
from koordnri.host.terway import TerwayFiles
from koordnri.host.usage.files import UsageFiles
from koordnri.model import NodeState, Pod
from koordnri.model.log import Log
from koordnri.model.pod import PodSpec
from koordnri.observe.decisions import DecisionLog, Listener
from koordnri.observe.log import LineWriter, make_logger
from koordnri.observe.policy_warnings import PolicyWarnings
from koordnri.observe.questions import Parameters, checked
from koordnri.policy.standing import StandingPolicy
from koordnri.reconcile.compare.running_pods import RunningPods
from koordnri.reconcile.core_scheduling import CoreSchedulingGroups
from koordnri.reconcile.interrupts import Interrupts
from koordnri.reconcile.reconciler import Reconciler
from koordnri.reconcile.recorder import Recorder
from koordnri.reconcile.requests import Requests
from koordnri.reconcile.terway import Terway
from koordnri.resctrl.groups import ResctrlGroups
from koordnri.resctrl.monitors import ResctrlMonitors
from koordnri.resctrl.shares import CacheShares
from koordnri.resctrl.threads import ResctrlThreads
from koordnri.session.calls import Calls
from koordnri.session.handler import EventHandler
from koordnri.session.plugin import PluginSession
from koordnri.state.directory import make_private
from koordnri.state.exposed_cpus import DIRECTORY as EXPOSED
from koordnri.state.exposed_cpus import ExposedCPUs
from koordnri.state.files import GroupNames, InterruptOriginals, Notebook, TerwayOriginals
from koordnri.state.history import History
from koordnri.state.history_files import HistoryFiles
from koordnri.state.ledger import Ledger
from koordnri.state.present import Present

if TYPE_CHECKING:  # see cluster_parts for why not at run time
    from koordnri.kube import EvictionSender, TopologyPublisher, WatchStats
    from koordnri.kube.events import EventStats
    from koordnri.kube.publisher import Publisher


class Given(NamedTuple):
    """What `simulate` and tests use instead of what the daemon finds."""

    node: NodeState | None = None
    """a described node; its files are not written"""
    specs: Mapping[str, PodSpec] = MappingProxyType({})
    """pod uid → spec"""
    hooks: Iterable[Hook] | None = None
    """instead of the installed ones"""
    exclusive_cpus: Callable[[Parts], ExclusiveCPUs] | None = None
    """makes the object that gives exclusive CPUs on the event path, from the parts made before it"""
    listener: Listener | None = None
    """called with every decision"""
    events: Events | None = None
    """instead of those through the API server"""


class Parts:
    """Everything that lives as long as the daemon. Raises ConfigError when the API server is needed and not configured."""

    def __init__(self, config: Config, given: Given, log_fd: int, confinement: str = NOT_CONFINED) -> None:
        self.config = config
        self.confinement = confinement
        self.described = given.node is not None
        self.ending = Ending()
        self.readiness = Readiness(self)
        self.writer = LineWriter(log_fd)
        self.log = make_logger(self.writer, config.log_format, config.log_level)
        with contextlib.suppress(OSError):  # reported by those who need the directory
            if problem := make_private(config.state_dir):
                self.log.warning("state_directory_open", problem=problem)
        self.hooks = load_hooks() if given.hooks is None else list(given.hooks)
        self._make_state(config)
        self._make_cluster(config, given)
        self._make_node(config, given)
        self._make_event_path(config, given)
        self._make_eviction(config)
        self._make_reconciler(config)
        self._make_control()
        self._make_answers(config)

    @property
    def publishers(self) -> list[Publisher]:
        """What keeps objects of the API server up to date."""
        return [publisher for publisher in (self.annotation, self.topology) if publisher is not None]

    def watch_stats(self) -> Mapping[str, WatchStats]:
        """kind → counters of its watch; empty without the API server."""
        return {} if self.cluster is None else self.cluster.stats()

    def violation_counts(self) -> Mapping[str, int]:
        """Kind → number of violations."""
        return violation_counts(self._status)

    def cpu_counts(self) -> Mapping[str, int]:
        """`exclusive` and `shared` → number of CPUs; what is not known is left out."""
        return cpu_counts(self._status)

    def throttled_s(self) -> Mapping[str, float]:
        """QoS class → s that its pods were held back by their CPU quota."""
        return self._class_clock.now().throttled_s

    def waiting_s(self) -> Mapping[str, float]:
        """QoS class → s that its pods waited for a CPU; empty on a kernel without PSI."""
        return self._class_clock.now().waiting_s

    def eviction_counts(self) -> Mapping[tuple[str, str], int]:
        """(feature, outcome) → pods that were to be evicted."""
        return dict(self.eviction.counts)

    def wait_counts(self) -> Mapping[tuple[str, str], int]:
        """(resource, kind) → pods that waited beyond their class' target."""
        return dict(self.neighbours.counts)

    def event_stats(self) -> EventStats | None:
        """Counters of the sender of Kubernetes Events; None without the API server."""
        return None if self.cluster_events is None else self.cluster_events.stats

    def mark(self) -> object:
        """See koordnri.answers.mark."""
        return mark(self._status)

    def _make_state(self, config: Config) -> None:
        self.notebook = Notebook(config.state_dir, self.log, self.ending.wake.set)
        notes, originals = self.notebook.load()
        self.ledger = Ledger(notes, self.notebook.mark, originals)
        self.notebook.keep(lambda: (self.ledger.notes(), self.ledger.all_originals()))

    def _make_cluster(self, config: Config, given: Given) -> None:
        parts = make_cluster(
            config,
            given.events or Events(),
            self.ledger,
            self.log,
            self.ending.die,
            lambda pod: self.present.snapshot.believed(pod),
        )
        self.events, self.faults, self._api, self.cluster_events, self.cluster, self.annotation = parts

    def _make_node(self, config: Config, given: Given) -> None:
        tree, names = ResctrlTree(config.host_root), GroupNames(config.state_dir, self.log)
        self.groups = ResctrlGroups(tree, names.load(), names.save)
        self._threads = ResctrlThreads(tree, self.groups)
        self._monitors = ResctrlMonitors(tree, self.groups)
        self.facts = ReportedFacts(None if self.described else self.groups, self.cluster)
        self.standing = StandingPolicy(self.log)
        self.allocator = Allocator()
        self.present = Present(
            _read_node(config) if given.node is None else given.node,
            None if self.described else config.host_root,
            lambda: self.standing.document,
            self.facts.applied,
            self.allocator,
            self.log,
        )
        self.history = _make_history(config, self.present, self.log)
        self._exposed = ExposedCPUs(config.state_dir / EXPOSED, self.ledger)
        self._reader = HostReader(config.host_root, self.present, self.facts)

    def _make_event_path(self, config: Config, given: Given) -> None:
        calls = Calls()
        wake = threading.Event()
        recording = Recording(config, self.present, self.facts, calls, self.events, self.log)
        save = self.notebook.save
        self.recorder = Recorder(
            self.ledger, recording.pushes, recording.preferred, save, recording.off, self.log, wake.set
        )
        self.requests = Requests(self.ledger, self.recorder.unsettle, wake)
        changed = _ignore if self.described else self.requests.trigger
        overlay = _unchanged if self.cluster is None else self.cluster.overlay
        self.decisions = DecisionLog(
            self.log,
            config.log_level == "debug",
            given.listener,
            self.events.warn_pod,
            self.events.warn_node,
            remember=None if self.history is None else self.history.decided,
        )
        cpus = self.exclusive_cpus = None if self.described else self._make_exclusive_cpus(overlay)
        self.chain = Chain(self.hooks)
        self.handler = EventHandler(
            self.chain,
            self.ledger,
            self.present.snapshot,
            self.decisions,
            given.specs,
            changed,
            overlay,
            self.recorder,
            cpus=cpus if given.exclusive_cpus is None else given.exclusive_cpus(self),
            # Only a real node has files that must be written before a container starts.
            catch_up=None if self.described else self.requests.catch_up,
            place=None if self.described else self._threads.place,
            expose=None if self.described else self._exposed.prepare,
            has_ended=(lambda pod: False)
            if cpus is None
            else (lambda pod: cpus.has_ended(pod) or self._reader.has_ended(pod)),
        )
        self.policy_warnings = PolicyWarnings(self.log, self.events.warn_node)
        self.changes = Changes(
            self.present,
            self.facts,
            self.standing,
            self.handler,
            self.ledger,
            cpus,
            changed,
            self.policy_warnings,
            self.events,
            self.faults,
            self.log,
            (lambda wanted: None) if self.cluster is None else self.cluster.namespaces.want,
        )
        self.present.publish_to(self.changes.publish)
        if (annotation := self.annotation) is not None:
            self.present.publish_to(lambda snapshot: annotation.want(snapshot.policy.revision))
        self.topology = self._make_topology(config)
        self._make_session(config, calls)

    def _make_topology(self, config: Config) -> TopologyPublisher | None:
        if self._api is None or self.cluster is None or not config.node_name:
            return None
        from koordnri.daemon.topology import REASON, TopologyReport
        from koordnri.kube import TopologyPublisher

        report = TopologyReport(self.present, self.ledger, config.host_root, self.cluster.node_uid)
        refused = functools.partial(self.events.warn_node, REASON)
        publisher = TopologyPublisher(self._api, config.node_name, report.wanted, refused, self.log, self.ending.die)
        self.present.publish_to(lambda snapshot: publisher.changed())
        return publisher

    def _make_eviction(self, config: Config) -> None:
        self.eviction_sender: EvictionSender | None = None
        ask = None
        if self._api is not None and config.node_name:
            from koordnri.kube import EvictionSender

            self.eviction_sender = EvictionSender(
                self._api,
                lambda answer: self.eviction.answered(answer),
                self.log,
                self.ending.die,
                lambda uid: self.eviction.is_wanted(uid),
            )
            ask = self.eviction_sender.ask
        self.eviction = Eviction(ask, lambda pod: self.present.snapshot.node.has_released(pod), self.events, self.log)

    def _make_exclusive_cpus(self, overlay: Callable[[Pod], Pod]) -> ExclusiveCPUs:
        return ExclusiveCPUs(
            self.allocator,
            self.ledger,
            self.requests,
            self.present,
            self.requests.trigger,
            self.events,
            self.log,
            overlay,
            self._reader.cpus_now,
            self.faults,
            self.cluster is not None,
            self.decisions.not_entitled,
        )

    def _make_session(self, config: Config, calls: Calls) -> None:
        enforce, refused = self.changes.enforce, self.changes.policy_refused
        self.sources = PolicySources(
            self.standing,
            enforce,
            refused,
            config.policy_file,
            config.state_dir,
            self.log,
            self.ending.wake.set,
            self.faults,
        )
        self.session = PluginSession(
            config.identity,
            config.nri_socket,
            self.handler,
            self.log,
            calls=calls,
            on_config=self.sources.take_runtime_config,
            on_runtime=self.changes.take_runtime,
            on_absent=RuntimeAbsence(config, self.events, self.faults, self.log).report,
            on_braked=lambda problem: self.events.warn_node("RegistrationBraked", problem),
        )
        self.unstarted = Unstarted(lambda: self.handler.life.unstarted_in_a_row, self.events, self.log)

    def _make_reconciler(self, config: Config) -> None:
        files = PacedFiles(lambda: self.session.is_busy and not self.requests.waited_for)
        # Hooks are pure, so chains may share them. Each thread has its own chain, because a chain counts without a lock.
        machine = self.machine = HostMachine(config.host_root, self.present, self.facts, files, self.notebook.save)
        self.reconciler = Reconciler(
            Chain(self.hooks),
            self.ledger,
            machine,
            self.requests,
            self._reconciler_reports(),
            self.log,
            promotions=None if self.exclusive_cpus is None else self.exclusive_cpus.promotions,
            recorder=self.recorder,
            expose=self._exposed.follow,
            interrupts=None if self.described else self._make_interrupts(config),
            terway=None if self.described else self._make_terway(config),
            cookies=None if self.described else CoreSchedulingGroups(config.host_root, self.ledger, self.log),
            cache=CacheShares(
                self.groups,
                self._threads,
                self._monitors,
                lambda: self.session.stats.synchronized_at_s is not None,
                self.present.take,
                self.log,
                self.events.warn_pod,
            ),
            open_watch=lambda woken: CgroupWatch(file_names(), woken, self.ending.die),
            faults=self.faults,
        )

    def _make_control(self) -> None:
        self.neighbours = NeighbourWatch(self.events, self.log)
        self.controlled = Controlled(self.present, self.ledger, self.requests, self.log)
        self.control_loop = ControlLoop(
            Sampler(self.ledger, self._usage_files, lambda: self.session.is_busy),
            self.ledger,
            self.machine.world,
            self.controlled.publish,
            controllers(self.neighbours, self.eviction),
            self.faults,
            self.log,
            ready=lambda: self.session.stats.synchronized_at_s is not None,
            around=self._around,
        )
        self.present.publish_to(lambda snapshot: self.control_loop.noticed(snapshot.policy))

    def _around(self) -> Around:
        there = applications_there(self.reconciler.hosts.found)
        if self.cluster is None:
            return Around(there)
        amounts = self.cluster.node_amounts()
        return Around(
            there,
            be_allocatable_milli=amounts.batch_milli,
            be_allocatable_bytes=amounts.batch_bytes,
            mid_allocatable_milli=amounts.mid_milli,
            mid_allocatable_bytes=amounts.mid_bytes,
            reserved_milli=amounts.reserved_milli,
        )

    def _usage_files(self) -> UsageFiles:
        return UsageFiles(self.config.host_root, self.present.snapshot.node.cgroup_version)

    def _make_answers(self, config: Config) -> None:
        machine = self.machine
        live = RunningPods(self.ledger, machine)
        self.operator = Operator(self.hooks, self.ledger, self.standing, live, self.requests, self.present, self.events)
        explain = ExplainSources(
            self.ledger, self.hooks, self.standing, self.allocator, machine, config.host_root, self.history
        )
        self._status = self._status_sources()
        self._class_clock = ClassClock(
            self.ledger,
            self._usage_files,
            lambda: self.facts.runtime.name,
            lambda: self.session.is_busy,
        )
        questions = make_questions(
            AnswerSources(self.ledger, self.present, explain, self._status, self.groups, self.history)
        )
        self.registry = make_registry(self)
        self.questions = {**questions, "metrics": self._metrics_text}
        self.admission = Admission(config, self.operator, self.questions, self._admitted, self.events, self.log)

    def _reconciler_reports(self) -> ReconcilerReports:
        return ReconcilerReports(
            self.events,
            self.decisions,
            self.history,
            self.ledger,
            self.exclusive_cpus,
            self.log,
            lambda: self.present.snapshot.node,
        )

    def _make_interrupts(self, config: Config) -> Interrupts:
        on_disk = InterruptOriginals(config.state_dir, self.log)
        return Interrupts(InterruptFiles(config.host_root), on_disk.load(), on_disk.save, self.log)

    def _make_terway(self, config: Config) -> Terway:
        on_disk = TerwayOriginals(config.state_dir, self.log)
        return Terway(TerwayFiles(config.host_root), on_disk.load(), on_disk.save, self.log)

    def _metrics_text(self, parameters: Parameters) -> str:
        """For who may open the control socket, wherever and however the port serves them."""
        checked(parameters)
        return generate_latest(self.registry).decode()

    def _admitted(self) -> None:
        """This daemon is the only one that uses the state directory."""
        self.notebook.probe()
        if self.history is not None:
            self.history.load()

    def _status_sources(self) -> StatusSources:
        return StatusSources(
            self.ledger,
            self.present,
            CPUSurveys(self.ledger, self.present),
            self.session,
            self.handler,
            self.reconciler,
            self.recorder,
            self.standing,
            self.history,
            self.readiness.problems,
            self.readiness.warnings,
            lambda: {} if self.cluster is None else self.cluster.problems(),
            self.confinement,
            lambda: None if self.eviction.last is None else self.eviction.last._asdict(),
            lambda: self.control_loop.modes,
            lambda: self.neighbours.findings,
            lambda: self.control_loop.latest,
        )


def _read_node(config: Config) -> NodeState:
    node = read_node(config.host_root, config.node_name, frozenset(config.write))
    return replace(node, exposed_directory=str(config.state_dir.absolute() / EXPOSED))


def _make_history(config: Config, present: Present, log: Log) -> History | None:
    if config.history == "off":
        return None
    files = HistoryFiles(config.state_dir, log) if config.history == "disk" else None
    history = History(present.snapshot, files)
    present.publish_to(history.follow)
    return history


def _ignore(pod_id: str | None = None) -> None:
    """A described node has no files that could follow."""


def _unchanged(pod: Pod) -> Pod:
    return pod
