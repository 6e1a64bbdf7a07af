"""Wiring and life cycle, nothing else: which rooms there are, who is told what, what happens every second, how it ends."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from koordnri.chain import Chain, Snapshot, load_hooks
from koordnri.cpus.allocator import Allocator
from koordnri.daemon.config import Config, ConfigError
from koordnri.daemon.control import Operator
from koordnri.daemon.exclusive_cpus import ExclusiveCPUs
from koordnri.daemon.garbage import GarbageCollector
from koordnri.daemon.machine import HostMachine
from koordnri.daemon.policy_sources import PolicySources
from koordnri.hook import Hook
from koordnri.host import read_node
from koordnri.host.cgroup.files import PacedFiles
from koordnri.host.cgroup.running import cpus_now, is_over
from koordnri.host.cgroup.spelling import file_names
from koordnri.host.cgroup.watch import CgroupWatch
from koordnri.host.cgroup.writer import Writer
from koordnri.host.resctrl_groups import ResctrlTree
from koordnri.model import Decision, NodeState, Pod
from koordnri.model.pod import PodSpec
from koordnri.observe.control import ControlServer
from koordnri.observe.decisions import DecisionLog, Listener
from koordnri.observe.http import Server
from koordnri.observe.log import LineWriter, make_logger
from koordnri.observe.metrics import make_registry
from koordnri.observe.policy_warnings import PolicyWarnings
from koordnri.policy.standing import Refused, StandingPolicy
from koordnri.reconcile.reconciler import Failure, Reconciler
from koordnri.reconcile.recorder import AUTO, RESYNC, UNSOLICITED, Push, Recorder
from koordnri.reconcile.requests import Requests
from koordnri.resctrl.groups import ResctrlGroups
from koordnri.resctrl.monitors import ResctrlMonitors
from koordnri.resctrl.shares import CacheShares
from koordnri.resctrl.threads import ResctrlThreads
from koordnri.session.cdi import why_no_cdi
from koordnri.session.handler import EventHandler
from koordnri.session.plugin import PluginSession, State
from koordnri.session.pushes import Resync, Unsolicited
from koordnri.state.containment import Faults
from koordnri.state.files import GroupNames, Notebook
from koordnri.state.ledger import Ledger
from koordnri.state.lock import NodeLock
from koordnri.state.present import Present
from koordnri.state.world import World

if TYPE_CHECKING:  # see Daemon.__init__ for why not at run time
    from koordnri.daemon.cluster import Cluster
    from koordnri.kube import WatchStats

POLICY_TICK_S = 0.1
"""How often the policy file is looked at where nobody says that it changed: who edits it waits for no more than that."""
NODE_TICK_S = 1.0
"""How often the node's state is."""
FULL_REFRESH_TICKS = 10
"""Every so many ticks all of the node is read; in between only what can make a decision harmful (resctrl groups, CPUs)."""
CONTROL_RETRY_S = 30.0
"""A state directory in which no socket can be made may be mended."""
CLUSTER_PATIENCE_S = 10.0
"""How long an API server that does not answer may keep us from registering: containers start without QoS meanwhile."""
SWITCH_INTERVAL_S = 0.0001
"""A scrape or a refresh may hold the interpreter for so long while the runtime waits for us; Python's 5 ms is too much."""


class Daemon:
    """The daemon. `run` blocks until `stop` (or until a runtime that launched us goes away) and returns the exit code.

    node, specs, hooks and listener are for `simulate` and tests: a node that is described instead of read, pod specs that are known,
    other hooks than the installed ones, and somebody who hears of every decision.
    """

    def __init__(  # long: wiring, one object after the other
        self,
        config: Config,
        *,
        node: NodeState | None = None,
        specs: Mapping[str, PodSpec] = MappingProxyType({}),
        hooks: Iterable[Hook] | None = None,
        listener: Listener | None = None,
        log_fd: int = 2,
    ) -> None:
        self.config = config
        with contextlib.suppress(OSError):  # whoever needs it says so
            config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.writer = LineWriter(log_fd)
        self.log = make_logger(self.writer, config.log_format, config.log_level)
        self._described = node is not None
        self._cluster: Cluster | None = None
        self.faults = Faults(self.log, self._tell_pod, self.tell_node)
        self.standing = StandingPolicy(self.log, self._swap, self._policy_refused)
        self.policy_warnings = PolicyWarnings(self.log, self.tell_node)
        self._wake = threading.Event()
        self.sources = PolicySources(self.standing, config.policy_file, config.state_dir, self.log, self._wake.set)
        self._stopping = False
        self._notebook = Notebook(config.state_dir, self.log, self._wake.set)
        self._lock = NodeLock(config.state_dir)
        self._locked = False
        self._failure: BaseException | None = None
        baselines, written = self._notebook.load()
        self.ledger = Ledger(baselines, self._notebook.mark, written)
        self._notebook.keep(lambda: (self.ledger.moved(), self.ledger.all_written()))
        installed = load_hooks() if hooks is None else list(hooks)
        self.chain = Chain(installed)
        self.decisions = DecisionLog(self.log, config.log_level == "debug", listener, self._tell_pod, self.tell_node)
        self.allocator = Allocator()
        tree, names = ResctrlTree(config.host_root), GroupNames(config.state_dir, self.log)
        self.groups = ResctrlGroups(tree, names.load(), names.save)
        threads = ResctrlThreads(tree, self.groups)
        self.present = Present(
            read_node(config.host_root, config.node_name) if node is None else node,
            None if self._described else config.host_root,
            lambda: self.standing.document,
            self._told,
            self.allocator,
            self.log,
            self._publish,
        )
        wake = threading.Event()
        self.recorder = Recorder(
            self.ledger,
            self._pushes(),
            self._record_route,
            self._notebook.save,
            self._route_off,
            self.log,
            wake.set,
        )
        self.requests = Requests(self.ledger, self.recorder.unsettle, wake)
        self.handler = EventHandler(
            self.chain,
            self.ledger,
            self.present.snapshot,
            self.decisions,
            specs,
            self._changed,
            self._overlay,
            self.recorder,
        )
        self.session = PluginSession(
            config.identity,
            config.nri_socket,
            self.handler,
            self.log,
            on_config=self.sources.take_runtime_config,
            on_runtime=self.faults.around("node", self.present.take),
            on_braked=lambda problem: self.tell_node("RegistrationBraked", problem),
        )
        files = PacedFiles(lambda: self.session.is_busy and not self.requests.waited_for)
        self._exclusive_cpus: ExclusiveCPUs | None = None
        if not self._described:
            # What would have to be written first, or left by others, are the files of a real node.
            self.handler.catch_up = self.requests.catch_up
            self.handler.place = threads.place
            self.handler.is_over = self._is_over
            self._exclusive_cpus = self.handler.cpus = ExclusiveCPUs(
                self.allocator,
                self.ledger,
                self.requests,
                self.present,
                lambda: self._changed(None),
                self._tell_pod,
                self.handler.budget_s,
                self.log,
                self._overlay,
                self._announce_pod,
                lambda pod, container_id: cpus_now(self._files(), pod, container_id, self.handler.runtime.name),
                self.faults,
            )
        # Hooks are pure, so two chains may share them; each thread has its own, for a chain counts without a lock.
        self.reconciler = Reconciler(
            Chain(installed),
            self.ledger,
            HostMachine(config.host_root, self._world, files, self._notebook.save),
            self.requests,
            self,
            self.log,
            promotions=self._exclusive_cpus,
            recorder=self.recorder,
            cache=CacheShares(
                self.groups,
                threads,
                ResctrlMonitors(tree, self.groups),
                lambda: self.session.stats.synchronized_at_s is not None,
                lambda: self.present.take(),
                self.log,
                self._tell_pod,
            ),
            open_watch=lambda woken: CgroupWatch(file_names(), woken),
            faults=self.faults,
        )
        self._operator = Operator(installed, self.ledger, self.standing, self.reconciler, self.requests, self.present)
        self._control: ControlServer | None = None
        self._control_problem, self._control_at = "", 0.0
        """why there is none, and when to try again"""
        if config.kubeconfig is not None or config.policy_configmap is not None:
            # Imported here: the official client costs 0.2 s and 20 MiB, and a daemon with a policy file needs none of it.
            from koordnri.daemon.cluster import Cluster
            from koordnri.kube import NotConfigured, connect

            try:
                api = connect(config.kubeconfig)
            except NotConfigured as error:
                raise ConfigError(str(error)) from error
            self._cluster = Cluster(
                api,
                config.node_name,
                config.policy_configmap,
                self.ledger,
                self.log,
                self.sources.take_configmap,
                lambda: self._scan_node(full=False, told=True),
                self._pod_changed,
                self._spec_told,
                self._ended,
                self._die,
                self.faults,
            )
        self._server: Server | None = None
        self._reconcile = threading.Thread(target=self._run_reconciler, name="reconcile", daemon=True)
        self._nri = threading.Thread(target=self._run_session, name="nri", daemon=True)

    # -- life ---------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Serve until told to stop. Raises ConfigError when the port is taken, and whatever killed the session's thread."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self.sources.scan()
        if self._cluster is not None:
            if self.config.policy_configmap is not None:
                self.sources.load_last_good()
            self._cluster.start()
        for problem in self.present.node.problems:
            self.log.warning("node_fact_missing", problem=problem)
        if self.config.listen is not None:
            registry, state = make_registry(self), self._operator.policy_state
            try:
                self._server = Server(*self.config.listen, registry, self.problems, state, self.warnings)
            except OSError as error:
                host, port = self.config.listen
                raise ConfigError(f"--listen {host}:{port}: {error}") from error
        self.log.info("started", hooks=list(self.chain.order), node=self.present.node.name, port=self.port)
        garbage = GarbageCollector()
        garbage.start()
        self.sources.watch()
        try:
            self._loop(garbage)
        finally:
            self.session.stop()
            if self._cluster is not None:
                self._cluster.stop()
            self.requests.stop()
            if self._nri.ident is not None:
                self._nri.join(2.0)
            if self._reconcile.ident is not None:  # what it writes after this, nobody would know to take back
                self._reconcile.join(2.0)
            self._notebook.save_if_marked()
            self.sources.close()
            for server in (self._server, self._control):
                if server is not None:
                    server.close()
            self._lock.release()
            self.log.info("stopped")
            self.writer.close()
            garbage.stop()
        if self._failure is not None:
            raise self._failure
        return 0

    def stop(self) -> None:
        """Ask `run` to return. Safe in a signal handler and from any thread."""
        self._stopping = True
        self._wake.set()

    @property
    def port(self) -> int | None:
        """The port of metrics and health, None when nothing is listened on (yet)."""
        return None if self._server is None else self._server.port

    def watch_stats(self) -> Mapping[str, WatchStats]:
        """Noun → counters of its watch; empty where the API server is not asked."""
        return {} if self._cluster is None else self._cluster.stats()

    def problems(self) -> list[str]:
        """What keeps the daemon from being ready; empty when it is."""
        found = []
        if not self._locked:
            found.append(f"another koordnri holds {self._lock.path}: stop it, only one may be registered on a node")
        elif self.session.state is not State.SYNCHRONIZED:
            found.append(f"runtime: {self.session.problem}")
        if self._cluster is not None and (waiting := self._cluster.policy_problem()):
            revision = self.present.snapshot.policy.revision
            found.append(f"policy: not read from the API server yet ({waiting}); revision {revision} is in force")
        if self.standing.refused is not None:
            found.append(
                f"policy: {self.standing.refused}; revision {self.present.snapshot.policy.revision} stays in force"
            )
        return found

    def warnings(self) -> list[str]:
        """What is wrong and does not keep it from being ready, for /readyz."""
        found = []
        if self._notebook.problem:
            found.append(f"state: kept in memory only, and lost by a restart: {self._notebook.problem}")
        if self._lock.problem:
            found.append(f"state: nothing keeps a second koordnri from registering: {self._lock.problem}")
        if self.present.snapshot.node.cgroup_read_only:
            found.append(
                "node: cgroups are mounted read-only: nobody is given exclusive CPUs, and no file follows a policy"
            )
        if self._control_problem:
            found.append(f"state: no control socket for `koordnri diff` and `release`: {self._control_problem}")
        return found

    def _take_lock(self) -> None:
        """And with it the control socket, which may come later."""
        if not self._locked and self._lock.try_acquire():
            self._locked = True
            self._notebook.probe()
            if self._lock.problem:
                self.log.error("node_not_locked", error=self._lock.problem)
        if self._locked and self._control is None and time.monotonic() >= self._control_at:
            if self._lock.problem:
                self._lock.try_acquire()
            try:
                self._control, self._control_problem = ControlServer(self.config.state_dir, self._operator), ""
            except OSError as error:
                if not self._control_problem:
                    self.log.error("no_control_socket", error=str(error))
                self._control_problem = str(error)
                self._control_at = time.monotonic() + CONTROL_RETRY_S

    def _loop(self, garbage: GarbageCollector) -> None:
        looks, look_at = 0, 0.0
        patience = time.monotonic() + CLUSTER_PATIENCE_S
        while not self._stopping:
            self._take_lock()
            if self._locked and self._nri.ident is None and (self._cluster_answered() or time.monotonic() > patience):
                self._nri.start()
                if not self._described:
                    self._reconcile.start()
            self._wake.wait(self._pace_s())
            self._wake.clear()
            with self.faults.within("state"):
                self._notebook.save_if_marked()
            if self._nri.ident is not None and not self._nri.is_alive():
                return
            if self._failure is not None:
                return
            with self.faults.within("policy"):
                self.sources.scan()
            if time.monotonic() >= look_at:
                looks, look_at = looks + 1, time.monotonic() + NODE_TICK_S
                self._scan_node(full=looks % FULL_REFRESH_TICKS == 0)
                garbage.step()

    def _pace_s(self) -> float:
        waits_for_cluster = self._nri.ident is None and self._cluster is not None
        return POLICY_TICK_S if waits_for_cluster or self.sources.must_be_asked else NODE_TICK_S

    def _cluster_answered(self) -> bool:
        """What runs is decided anew when we register. Without the node's pools and the pods' specs that would take back, for a
        moment, what the daemon before us had set: so the first answers are waited for, though not for ever.
        """
        return self._cluster is None or self._cluster.synced

    def _run_session(self) -> None:
        try:
            self.session.run()
        except BaseException as error:  # noqa: BLE001  # `run` raises it again: without its session the process has no use
            self._failure = error
        self._wake.set()

    def _run_reconciler(self) -> None:
        try:
            self.reconciler.run()
        except BaseException as error:  # noqa: BLE001  # as above
            self._failure = error
        self._wake.set()

    def _changed(self, pod_id: str | None) -> None:
        """A pod (None: all of them) may have to follow. A node that is only described has no files to write."""
        if not self._described:
            self.requests.trigger(pod_id)

    def _world(self) -> World:
        return World(self.present.up_to_date(), self.handler.runtime.name)

    def _policy_refused(self, refused: Refused) -> None:
        revision = self.present.snapshot.policy.revision
        self.tell_node("PolicyRefused", f"{refused.source}: {refused}; revision {revision} stays in force")

    # -- what people are told -----------------------------------------------------------------------------------------

    def _tell_pod(self, pod: Pod, reason: str, message: str) -> None:
        if not pod.uid:  # not kubelet's: the API server knows no such pod
            self.tell_node(reason, f"pod {pod.namespace}/{pod.name}: {message}")
        elif self._cluster is not None:
            self._cluster.tell_pod(pod, reason, message)

    def _announce_pod(self, pod: Pod, reason: str, message: str) -> None:
        if self._cluster is not None:
            self._cluster.announce_pod(pod, reason, message)

    def tell_node(self, reason: str, message: str) -> None:
        if self._cluster is not None:
            self._cluster.tell_node(reason, message)

    def decided_again(self, pod: Pod, container: str, decision: Decision) -> None:
        self.decisions.decided_again(pod, container, decision)

    def class_decided_again(self, kube_class: str, decision: Decision) -> None:
        self.decisions.class_decided_again(kube_class, decision)

    def pod_gone(self, pod: Pod) -> None:
        self.log.info("pod_gone_untold", pod=f"{pod.namespace}/{pod.name}")
        self.ledger.forget_pod(pod.id)
        if self.handler.cpus is not None:
            self.handler.cpus.pod_went(pod)

    def not_applied(self, failure: Failure) -> None:
        owner, message = failure.owner, f"{failure.field} = {failure.value}: {failure.error}"
        if owner.pod is None:
            self.tell_node("QoSNotApplied", f"cgroup {owner.title}: {message}")
        else:
            where = f"container {owner.container}: " if owner.container else ""
            self._tell_pod(owner.pod, "QoSNotApplied", where + message)

    # -- recording through the runtime --------------------------------------------------------------------------------

    def _pushes(self) -> dict[str, Push]:
        pushes: dict[str, Push] = {UNSOLICITED: Unsolicited(lambda: self.session, lambda: self.present.snapshot.node)}
        if self.config.identity.fd is None:  # else the runtime made our connection, and there may be no socket
            pushes[RESYNC] = Resync(self.config.nri_socket, lambda: self.present.snapshot.node)
        return pushes

    def _record_route(self) -> str:
        asked = self.config.record_route or self.present.snapshot.policy.record_route or AUTO
        return self.handler.runtime.record_route if asked == AUTO else asked

    def _route_off(self, route: str, reason: str) -> None:
        self.log.error("record_route_off", route=route, error=reason)
        self.tell_node(
            "RecordRouteOff", f"changes are no longer recorded by {route}, until koordnri restarts: {reason}"
        )

    # -- node ---------------------------------------------------------------------------------------------------------

    def _scan_node(self, full: bool, told: bool = False) -> None:
        """`told`: the Node object changed, so there is something new whatever the host's files say."""
        with self.faults.within("node"):
            if not self._described and (self.present.scan(full) or told):
                self._swap()
                self.log.info("node_changed", problems=list(self.present.snapshot.node.problems))

    def _swap(self) -> None:
        self.present.take()
        self._changed(None)
        self.policy_warnings.update(self.standing.document, self.present.snapshot)

    def _publish(self, snapshot: Snapshot) -> None:
        empty = snapshot.node.empty_pools
        if empty and empty != self.handler.snapshot.node.empty_pools:
            problem = next((p for p in snapshot.node.problems if "share pool" in p), "")
            self.log.warning("share_pool_empty", pools=list(empty), error=problem)
            self.tell_node("SharePoolEmpty", problem)
        self.handler.snapshot = snapshot

    def _told(self, node: NodeState) -> NodeState:
        runtime = self.handler.runtime
        node = replace(node, no_cdi=why_no_cdi(runtime), no_limit_bytes=runtime.no_limit_bytes)
        if not self._described:
            node = self.groups.told(node)
        return node if self._cluster is None else self._cluster.told(node)

    def _is_over(self, pod: Pod) -> bool:
        over = self._exclusive_cpus is not None and self._exclusive_cpus.is_over(pod)
        return over or is_over(self._files(), pod, self.handler.runtime.name)

    def _pod_changed(self, pod_id: str) -> None:
        pod = self.ledger.pod(pod_id)
        if self._exclusive_cpus is not None and pod is not None:
            self._exclusive_cpus.pod_changed(pod)
        self._changed(pod_id)

    def _files(self) -> Writer:
        """To read with, while the runtime waits: the reconcile thread has a writer of its own."""
        return Writer(self.config.host_root, self.present.snapshot.node.cgroup_version)

    def _spec_told(self, uid: str, spec: PodSpec) -> None:
        if self._exclusive_cpus is not None:
            self._exclusive_cpus.spec_told(uid, spec)

    def _ended(self, uid: str) -> None:
        if self._exclusive_cpus is not None and self._exclusive_cpus.pod_over(uid):
            self._changed(None)  # of classes and resctrl groups the pod is no part any more

    def _overlay(self, pod: Pod) -> Pod:
        return pod if self._cluster is None else self._cluster.overlay(pod)

    def _die(self, error: BaseException) -> None:
        self._failure = error
        self._wake.set()
