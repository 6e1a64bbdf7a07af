"""Decides pods and their containers again. Returns what follows: files to write or give back, updates to record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from koordnri.chain import Chain
from koordnri.host.cgroup.change import Change
from koordnri.host.cgroup.nesting import nesting
from koordnri.host.cgroup.paths import container_directory, pod_directory
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Container, CPUSet, Decision, Event, NodeState, Pod, fields
from koordnri.model.class_cgroup import BEST_EFFORT_ID, CLASS_IDS, ClassCgroup, OuterCgroup
from koordnri.model.difference import unrecorded
from koordnri.model.field import Nesting
from koordnri.model.log import Log
from koordnri.reconcile.classes import decide_classes
from koordnri.reconcile.gone_pods import GonePods
from koordnri.reconcile.host_applications import HostApplications
from koordnri.reconcile.inferred_quota import InferredQuota
from koordnri.reconcile.kept_plans import KeptPlans
from koordnri.reconcile.originals import Originals, as_kubelet_set_it, kubelets_files
from koordnri.reconcile.owner import ClassOwner, ContainerOwner, KnownFiles, Owner, PodOwner
from koordnri.reconcile.plan import Goal, PodPlan, Update, back_to_baseline, back_to_before, in_sandbox, wanted
from koordnri.state.entry import Entry
from koordnri.state.ledger import Ledger
from koordnri.state.world import World


class Scan(Enum):
    """Which files a pass reads. All of a pod or none: if one cgroup changes, those above and below it must be checked, too."""

    KNOWN = "known"
    """files of pods with a file that is not known to be right"""
    AGAIN = "again"
    """the same; but these pods have changed, and are decided again"""
    SWEEP = "sweep"
    """all; pods with a wrong file are decided again"""
    ALL = "all"
    """all, and each file becomes a goal"""


class Planner:
    """Used by the reconcile thread."""

    def __init__(self, chain: Chain, ledger: Ledger, log: Log) -> None:
        self.hosts = HostApplications(chain, ledger, log)
        self.decides_classes = chain.decides_classes
        self.misses = 0
        """number of files so far that did not have their value"""
        self._files = KnownFiles()
        self.originals = Originals(ledger, self._files)
        self._chain = chain
        self._ledger = ledger
        self._kept = KeptPlans(ledger)
        self._gone = GonePods()
        self._inferred = InferredQuota(chain, ledger)

    def plan(self, pod: Pod, world: World, writer: Writer, scan: Scan) -> PodPlan:
        """Decide one pod, and return which of its files must be written.

        Raises NodeError when the runtime reported no usable cgroup.
        """
        directory = pod_directory(pod.cgroup_parent)
        reads_all = scan in (Scan.SWEEP, Scan.ALL)
        if (reads_all or self._gone.was_gone(pod.id)) and self._gone.is_gone(pod.id, directory, writer):
            return PodPlan([], {}, [], {}, gone=True)
        plan = self._kept.get(pod, world) if scan in (Scan.KNOWN, Scan.SWEEP) else None
        if plan is not None and scan is Scan.SWEEP and not all(map(writer.holds, plan.kubelets)):
            plan = None
        if plan is None or not self._are_right(plan.goals, writer, scan):
            plan = self._decide(pod, world, writer, directory)
            self._kept.put(pod, plan, world)
            if scan is Scan.ALL or not self._are_right(plan.goals, writer, scan):
                return plan
        return plan._replace(goals=[])

    def _decide(self, pod: Pod, world: World, writer: Writer, directory: str) -> PodPlan:
        entries = self._ledger.containers_of(pod.id)
        containers = [Container(entry.id, entry.name, pod.id, entry.baseline) for entry in entries]
        there = writer.has(directory)
        decision, kubelets, own = self._decide_own(pod, containers, world, writer, directory, there=there)
        goals = own
        if self._ledger.creating == pod.id or not all(entry.started for entry in entries):
            goals = [g for g in own if self._may_be_early(g, writer, world.snapshot.node.cgroup_version)]
        planned = [(entry.id, entry.started) for entry in entries]
        whole = len(goals) == len(own)
        plan = PodPlan(goals, {}, [("", decision)], {}, kubelets, containers=planned, whole=whole)
        for entry, container in zip(entries, containers, strict=True):
            self._add_container(plan, pod, entry, container, world)
        if not there:
            return plan._replace(goals=[], whole=True)
        self._gone.exists(pod.id)
        return plan._replace(holds=[goal for goal in goals if not goal.restores])

    def _decide_own(
        self, pod: Pod, containers: Sequence[Container], world: World, writer: Writer, directory: str, *, there: bool
    ) -> tuple[Decision, list[Change], list[Goal]]:
        """Decide the pod itself. Returns the decision, kubelet's files, and the goals of ours."""
        snapshot, owner = world.snapshot, self.owner(pod)
        node, force = snapshot.node, snapshot.policy.memory.shrink_below_usage
        before = self.originals.of(owner, directory, writer, node.cgroup_version)
        if there:
            before |= self._inferred.of(pod, before, containers, snapshot, writer, directory)
        kubelets = kubelets_files(directory, before, writer) if there else []
        as_set = as_kubelet_set_it(pod.resources, before, kubelets)
        decision = self._chain.decide_pod(pod.with_resources(as_set), snapshot, containers)
        wants = wanted(directory, decision, node, force)
        back = back_to_before(directory, before, decision, node)
        if there and any(change.field.in_sandbox for change in (*wants.values(), *back.values())):
            sandbox = self._sandbox(pod, world, writer)
            wants, back = in_sandbox(wants, sandbox), in_sandbox(back, sandbox)
        goals = _goals(owner, decision, wants)
        goals += [Goal(owner, n, c, True) for n, c in back.items()]
        return decision, kubelets, goals

    def _add_container(self, plan: PodPlan, pod: Pod, entry: Entry, container: Container, world: World) -> None:
        """Decide a container, and add what follows to its pod's plan."""
        snapshot, owner = world.snapshot, ContainerOwner(pod, entry, self._ledger)
        node, force = snapshot.node, snapshot.policy.memory.shrink_below_usage
        directory = container_directory(pod.cgroup_parent, entry.id, world.runtime)
        decision = self._chain.decide_container(pod, container, Event.SYNC, snapshot)
        plan.decisions.append((entry.name, decision))
        if fields.RDT_CLOSID not in decision.undecided:
            plan.groups[directory] = decision.value(fields.RDT_CLOSID) or ""
        goals = _goals(owner, decision, wanted(directory, decision, node, force))
        originals = self._ledger.originals(entry.id)
        back = back_to_baseline(directory, {*entry.sent, *originals}, decision, entry.baseline, node, originals)
        goals += [Goal(owner, n, c, True) for n, c in back.items()]
        plan.goals.extend(goals if entry.started or node.cgroup_version == 2 else self._while_it_is_made(entry, goals))
        if missing := unrecorded(decision, entry.baseline, entry.sent, node, entry.drifted):
            plan.updates[entry.id] = Update(entry.id, pod.id, tuple(missing), entry.baseline.period_us)

    def _while_it_is_made(self, entry: Entry, goals: list[Goal]) -> list[Goal]:
        """The goals of a container that v1 allows to be written between its creation and its start: cpusets, for whose CPUs others wait.

        While runc makes the cgroup, it reads CPU shares back and orders limits by what it reads. It refuses a container whose files others
        write then.
        """
        early = [goal for goal in goals if goal.change.field.nesting is Nesting.CPUSET]
        late = [goal for goal in goals if goal not in early]
        if all(
            goal.name in entry.sent and goal.change.field.same(entry.sent[goal.name][0], goal.change.value)
            for goal in late
        ):
            return early
        return early if self._ledger.withhold(entry) else goals

    def _sandbox(self, pod: Pod, world: World, writer: Writer) -> str | None:
        """The cgroup of the pod's sandbox; None when there is none (any more)."""
        directory = container_directory(pod.cgroup_parent, pod.id, world.runtime)
        return directory if writer.has(directory) else None

    def plan_classes(self, world: World, writer: Writer, scan: Scan) -> PodPlan:
        """Decide the cgroups outside of pods."""
        snapshot, kubelets = world.snapshot, list[Change]()
        plan = PodPlan([], {}, [], {}, kubelets, holds=[])
        decided: list[tuple[OuterCgroup, Decision]] = [*decide_classes(self._chain, self._ledger.pods(), snapshot)]
        decided += self.hosts.decide(snapshot, writer, kubelets, plan.groups)
        holds: list[Goal] = []
        for cgroup, decision in decided:
            wants, back = self._outside(cgroup, decision, world, writer)
            holds += wants
            plan.goals.extend(g for g in (*wants, *back) if scan is Scan.ALL or not self._are_right([g], writer, scan))
            plan.decisions.append((cgroup.name, decision))
        return plan._replace(holds=holds, whole=not self.hosts.missing)

    def _outside(
        self, cgroup: OuterCgroup, decision: Decision, world: World, writer: Writer
    ) -> tuple[list[Goal], list[Goal]]:
        """The files of a cgroup outside of pods that get a value, and those that are given back."""
        node, force = world.snapshot.node, world.snapshot.policy.memory.shrink_below_usage
        owner, directory = ClassOwner(cgroup, self._files), cgroup.directory
        if isinstance(cgroup, ClassCgroup):
            self.originals.note_idle_class(cgroup, writer, node)
        before = self.originals.of(owner, directory, writer, node.cgroup_version)
        before.pop(fields.RDT_CLOSID.name, None)  # no file; HostApplications gives it back
        back = back_to_before(directory, before, decision, node)
        wants = _goals(owner, decision, wanted(directory, decision, node, force))
        return wants, [Goal(owner, n, c, True) for n, c in back.items()]

    def _may_be_early(self, goal: Goal, writer: Writer, version: int) -> bool:
        """Whether a pod's goal leaves room for its containers: it is wider, or concerns the sandbox. The OCI runtime is about to make a
        container's cgroup with values of an older decision. v1 refuses a child above its parent, and the container would not start.
        """
        if goal.change.field.in_sandbox:
            return True
        nested = nesting(goal.change.field, version)
        found = writer.read(*goal.change[:3]).value
        return nested is None or found is None or nested.covers(goal.change.value, found)

    def missed(self, goal: Goal, found: Any) -> None:
        """The file of a goal does not have its value. `found`: how it reads, None when it cannot be read."""
        self.misses += 1
        goal.owner.missed(goal.name, found)

    def owner(self, pod: Pod) -> PodOwner:
        """The owner of a pod's files."""
        return PodOwner(pod, self._files)

    def best_effort_bounds(self, node: NodeState) -> tuple[CPUSet, ...]:
        """The CPUs of the class BestEffort's cgroup on v2 while controllers bound it: what it has now, and what it is about to have."""
        if node.cgroup_version == 1:
            return ()
        seen = self._files.of(BEST_EFFORT_ID, fields.CPU_CPUS.name)
        has = () if seen is None else (CPUSet.parse(seen.wanted),)
        wanted = node.control.be_cpus
        return has if wanted is None else (*has, wanted.value)

    def forget_gone(self) -> None:
        """Drop what is known of pods that are gone."""
        there = {pod.id for pod in self._ledger.pods()} | CLASS_IDS | self.hosts.ids()
        self._files.keep(there)
        self._gone.keep(there)
        self._inferred.keep(there)

    def _are_right(self, goals: Iterable[Goal], writer: Writer, scan: Scan) -> bool:
        return all(self.is_right(g) and (scan is not Scan.SWEEP or writer.holds(g.change)) for g in goals)

    def is_right(self, goal: Goal) -> bool:
        """Whether the file of a goal had its value when it was last read."""
        return goal.owner.is_right(goal.name, goal.change)


def _goals(owner: Owner, decision: Decision, wants: Mapping[str, Change]) -> list[Goal]:
    """Goals for the decided values of a cgroup. `wants`: as from `wanted`."""
    return [Goal(owner, name, change, False, name in decision.controlled) for name, change in wants.items()]
