"""One pass: decides pods and their containers again, writes files that lack their value, reads them back, and hands on the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from koordnri.chain import Snapshot
from koordnri.host.cgroup.paths import pod_directory
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Decision, NodeError, NodeState, Pod, fields
from koordnri.model.annotations import RESCTRL_KEY
from koordnri.reconcile.core_scheduling import CoreSchedulingGroups
from koordnri.reconcile.drift import CLASSES, Drift
from koordnri.reconcile.failures import Failure
from koordnri.reconcile.interrupts import Interrupts
from koordnri.reconcile.kept_plans import mean_the_same
from koordnri.reconcile.plan import Goal, PodPlan, Update
from koordnri.reconcile.planner import Planner, Scan
from koordnri.reconcile.ports import Machine, PromotionsPort, Reports
from koordnri.reconcile.recorder import Recorder
from koordnri.reconcile.schedule import Schedule
from koordnri.reconcile.settling import Settling
from koordnri.reconcile.sweep_parts import SweepParts
from koordnri.reconcile.terway import Terway
from koordnri.reconcile.writing import Done, GoalWriter
from koordnri.resctrl.shares import CacheShares
from koordnri.state.causes import PassDone
from koordnri.state.containment import Faults
from koordnri.state.ledger import Ledger
from koordnri.state.world import World

_SCANS = {
    "change": Scan.KNOWN,
    "control": Scan.KNOWN,
    "pod": Scan.AGAIN,
    "drift": Scan.SWEEP,
    "sweep": Scan.SWEEP,
    "asked": Scan.ALL,
}


class _Draft:
    """What a pass will do."""

    def __init__(self) -> None:
        self.goals: list[Goal] = []
        self.updates: dict[str, Update] = {}
        self.groups: dict[str, str] = {}
        """cgroup of a container → its resctrl group"""
        self.pods: dict[str, Pod] = {}
        """id → pod that was planned"""
        self.decisions: dict[tuple[str, str], Decision] = {}
        """(id of the pod, or name of the class; container, or "") → its decision, where something may change"""
        self.groups_of: list[tuple[str, Pod, str, str]] = []
        """id of a container, its pod, its name, its resctrl group; for the history"""

    def add(self, pod: Pod, plan: PodPlan, resctrl: bool) -> None:
        self.pods[pod.id] = pod
        self.goals += plan.goals
        self.updates.update(plan.updates)
        self.groups.update(plan.groups)
        if plan.goals:
            self.decisions.update(((pod.id, name), decision) for name, decision in plan.decisions)
        if resctrl:
            self._add_groups(pod, plan)

    def _add_groups(self, pod: Pod, plan: PodPlan) -> None:
        for (container_id, _), (name, decision) in zip(plan.containers, plan.decisions[1:], strict=True):
            if fields.RDT_CLOSID not in decision.undecided:
                self.decisions[pod.id, name] = decision
                self.groups_of.append((container_id, pod, name, decision.value(fields.RDT_CLOSID) or ""))

    def add_classes(self, plan: PodPlan) -> None:
        self.goals += plan.goals
        self.groups.update(plan.groups)
        if plan.goals:
            self.decisions.update(((name, ""), decision) for name, decision in plan.decisions)

    def one_per_file(self) -> list[Goal]:
        """Goals without a second one for the same file: two names may stand for one disk. A wanted value beats one that is given back."""
        wanted = [goal for goal in self.goals if not goal.restores]
        back = [goal for goal in self.goals if goal.restores]
        return list({goal.change[:3]: goal for goal in (*back, *wanted)}.values())


class Passes:
    """Used by the reconcile thread.

    cache       makes resctrl groups and moves threads into them; None: nobody does
    promotions  called around each full pass that a change or a sweep caused
    recorder    records written values; None: nobody does
    faults      contains a bug: it costs one pod, one file or one part of a pass
    expose      brings the files up to date that show containers their exclusive CPUs; None: nobody does
    interrupts  keeps interrupts off exclusive CPUs; None: nobody does
    terway      brings terway's files up to date; None: nobody does
    cookies     gives containers core scheduling cookies; None: nobody does
    between     called between two pods of a pass: makes passes for those for whom the runtime waits, and returns the ids of their pods
    cpu_s       CPU time of the calling thread in s
    """

    def __init__(
        self,
        planner: Planner,
        ledger: Ledger,
        machine: Machine,
        reports: Reports,
        promotions: PromotionsPort,
        schedule: Schedule,
        settling: Settling,
        faults: Faults,
        drift: Drift | None = None,
        recorder: Recorder | None = None,
        cache: CacheShares | None = None,
        expose: Callable[[NodeState], None] | None = None,
        interrupts: Interrupts | None = None,
        terway: Terway | None = None,
        cookies: CoreSchedulingGroups | None = None,
        between: Callable[[], Iterable[str]] = lambda: (),
        monotonic: Callable[[], float] = time.monotonic,
        cpu_s: Callable[[], float] = time.thread_time,
    ) -> None:
        self.writer: Writer | None = None
        """of the last pass"""
        self.applied: Snapshot | None = None
        """snapshot of the last full pass"""
        self.sweeps = SweepParts(drift, planner)
        self._planner = planner
        self._ledger = ledger
        self._machine = machine
        self._reports = reports
        self._promotions = promotions
        self._schedule = schedule
        self._settling = settling
        self._faults = faults
        self._drift = drift
        self._recorder = recorder
        self._cache = cache
        self._expose = expose
        self._interrupts = interrupts
        self._terway = terway
        self._cookies = cookies
        self._between = between
        self._writing = GoalWriter(planner.originals, machine.save, faults)
        self._monotonic = monotonic
        self._cpu_s = cpu_s

    def run(self, trigger: str, pods: Iterable[Pod], *, above: bool | None = None, rests: bool = False) -> list[Done]:
        """One pass over these pods and their containers. Returns the outcome of each file; unchanged ones only if asked for.

        trigger   change, control, pod, drift, sweep or asked
        above     whether to include the cgroups above the pods; None: depends on the trigger
        rests     whether to skip most of the files that a watch covers
        """
        pods = list(pods)
        everything = trigger in ("change", "sweep")
        if everything:
            with self._faults.within("cpus"):
                self._promotions.before_pass()
        if above is None:
            above = self._looks_above(trigger, pods)
        if above and self._cache is not None and trigger not in ("control", "drift"):
            with self._faults.within("resctrl"):
                self._cache.groups(self._ledger.pods(), self._machine.world)
        started, cpu_started, world = self._monotonic(), self._cpu_s(), self._machine.world()
        drifts, node = self._drifts(trigger, world), world.snapshot.node
        draft = _Draft()
        if rests and drifts:
            pods, draft.groups = self.sweeps.next(pods)
            above = above and not self.sweeps.classes_rest
        writer = self.writer = self._machine.writer(node.cgroup_version)
        writer.bound_best_effort(self._planner.best_effort_bounds(node))
        self._plan(draft, trigger, pods, world, writer, above=above)
        done = self._writing.write(draft.one_per_file(), writer, node)
        unset = self._settling.settle(done, writer, node, drifts=drifts)
        if (written := self._settling.written) or draft.groups_of:
            parts = (written, draft.decisions, draft.groups_of)
            self._reports.passed(PassDone(trigger, self.applied, world.snapshot, *parts))
        self._hand_on(draft, unset, node.cgroup_version, sweep=trigger == "sweep")
        if self._expose is not None:
            with self._faults.within("cpus"):
                self._expose(node)
        if self._terway is not None and trigger != "drift":
            with self._faults.within("network"):
                self._terway.follow(world.snapshot, self._ledger.pods())
        if everything:
            if self._interrupts is not None:
                with self._faults.within("cpus"):
                    self._interrupts.follow(world.snapshot, self._ledger.pods())
            if self._cookies is not None:
                with self._faults.within("cpus"):
                    self._cookies.follow(world)
            self._planner.forget_gone()
            self._settling.forget_gone()
            self.applied = world.snapshot
            with self._faults.within("cpus"):
                self._promotions.after_pass()
        elif trigger == "control" and self.applied is not None and mean_the_same(self.applied, world.snapshot):
            self.applied = world.snapshot  # nothing else differs, so everything follows this one now
        stats = self._settling.stats
        stats.passes[trigger] += 1
        stats.last_pass_s, stats.last_pass_cpu_s = self._monotonic() - started, self._cpu_s() - cpu_started
        return done

    def _looks_above(self, trigger: str, pods: Iterable[Pod]) -> bool:
        must = trigger != "pod" or any(RESCTRL_KEY in pod.annotations for pod in pods)
        return self._schedule.looks_above(self._monotonic(), must=must)

    def _drifts(self, trigger: str, world: World) -> bool:
        """Whether a value that was sent, never read, and must be written was lost. Under a changed snapshot it may only be late, since full
        passes rest.
        """
        applied = self.applied if trigger in ("drift", "sweep") else None
        return applied is not None and mean_the_same(applied, world.snapshot)

    # -- what is wanted -----------------------------------------------------------------------------------------------

    def _plan(
        self, draft: _Draft, trigger: str, pods: Iterable[Pod], world: World, writer: Writer, *, above: bool
    ) -> None:
        scan, renew = _SCANS[trigger], trigger == "sweep"
        if above and self._planner.decides_classes:
            with self._faults.within("classes"):
                draft.add_classes(self._plan_classes(world, writer, scan, renew=renew))
        resctrl = self._cache is not None and world.snapshot.node.resctrl is not None and trigger != "sweep"
        plans: dict[str, tuple[Pod, PodPlan]] = {}
        made = set[str]()
        for pod in pods:
            if trigger != "asked":
                made.update(self._between())
            if pod.id not in made:
                with self._faults.within("plan", pod):
                    plans[pod.id] = pod, self._plan_pod(pod, world, writer, scan, renew=renew)
        for pod, plan in plans.values():
            if pod.id not in made:  # its plan may be older than its files
                with self._faults.within("plan", pod):
                    draft.add(pod, plan, resctrl)

    def _plan_classes(self, world: World, writer: Writer, scan: Scan, *, renew: bool) -> PodPlan:
        plan = self._planner.plan_classes(world, writer, scan)
        if self._drift is not None:
            self._drift.follow(CLASSES, "", plan, writer, renew=renew)
        for name, decision in plan.decisions:
            if decision.errors:
                self._reports.class_decided_again(name, decision)
        return plan

    def _plan_pod(self, pod: Pod, world: World, writer: Writer, scan: Scan, *, renew: bool) -> PodPlan:
        try:
            plan = self._planner.plan(pod, world, writer, scan)
        except NodeError as error:
            self._settling.report(Failure(self._planner.owner(pod), pod.id, "cgroup", "", "", str(error)))
            return PodPlan([], {}, [], {})
        if plan.gone:
            self._reports.pod_gone(pod)
        elif self._drift is not None:
            self._drift.follow(pod.id, pod_directory(pod.cgroup_parent), plan, writer, renew)
        for container, decision in plan.decisions:
            if decision.errors or not container:
                self._reports.decided_again(pod, container, decision)
        return plan

    # -- what follows -------------------------------------------------------------------------------------------------

    def _hand_on(self, draft: _Draft, unset: Mapping[str, set[str]], cgroup_version: int, *, sweep: bool) -> None:
        """Hands threads to resctrl, and updates to the recorder."""
        if self._cache is not None:
            with self._faults.within("resctrl"):
                self._cache.threads(draft.groups, cgroup_version, sweep=sweep)
        if self._recorder is None:
            return
        # A refused value is not recorded either: the runtime would write it without checking the memory in use.
        updates = {i: left for i, u in draft.updates.items() if (left := u.without(unset.get(i, ()))) is not None}
        looked_at = [entry.id for pod_id in draft.pods for entry in self._ledger.containers_of(pod_id)]
        with self._faults.within("record"):
            self._recorder.plan(looked_at, updates)
