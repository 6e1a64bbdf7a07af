"""Decides pods and their containers again. Returns what follows: files to write or give back, updates to record."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

import msgspec

from koordnri.chain import Chain, Snapshot
from koordnri.host.cgroup.change import Change
from koordnri.host.cgroup.nesting import nesting
from koordnri.host.cgroup.paths import container_directory, pod_directory
from koordnri.host.cgroup.spelling import Form, form
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Container, Decision, Event, KubeQoS, NodeState, Pod, fields
from koordnri.model.class_cgroup import CLASS_IDS, ClassCgroup
from koordnri.model.convert import MIN_SHARES
from koordnri.model.difference import unrecorded
from koordnri.model.fields import split_name
from koordnri.model.resources import Resources
from koordnri.reconcile.classes import decide_classes
from koordnri.reconcile.owner import ClassOwner, ContainerOwner, KnownFiles, PodOwner
from koordnri.reconcile.plan import Goal, Update, back_to_baseline, back_to_before, in_sandbox, wanted
from koordnri.reconcile.pods_quota import pods_quota, quotas_by_name
from koordnri.state.ledger import Ledger
from koordnri.state.world import World

_ON_POD = tuple(field for field in fields.ALL if field.on_pod)

_CPUS = fields.CPU_CPUS.name

MOST_ENDED = 1000
"""Sandboxes that have ended and are remembered."""


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


class PodPlan(NamedTuple):
    """What one pass will do for a pod and its containers."""

    goals: list[Goal]
    updates: dict[str, Update]
    """container → values to be recorded"""
    decisions: list[tuple[str, Decision]]
    """(name of the container, or "" for the pod itself; its decision)"""
    groups: dict[str, str]
    """cgroup of a container → resctrl group for its threads, "": none of ours"""
    kubelets: Sequence[Change] = ()
    """kubelet's files in the pod's cgroup, with their values at the decision"""
    gone: bool = False
    """whether its cgroup existed and vanished: the runtime did not report its end (containerd issue 8426)"""
    holds: Sequence[Goal] = ()
    """all decided values of these cgroups, including those that are right and need no goal"""
    containers: Sequence[tuple[str, bool]] = ()
    """containers that were decided, and whether each had been started"""
    whole: bool = True
    """False if files of the pod itself are left until one of its containers has been made"""


class Planner:
    """Used by one thread. Remembers what it wrote into pods' files, so that another value there is recognised as kubelet's."""

    def __init__(self, chain: Chain, ledger: Ledger) -> None:
        self.decides_classes = chain.decides_classes
        self.misses = 0
        """number of files so far that did not have their value"""
        self._chain = chain
        self._ledger = ledger
        self._under: tuple[Snapshot, str, int] | None = None
        """snapshot, runtime and version of the ledger that the stored plans are based on"""
        self._plans: dict[str, tuple[Pod, PodPlan]] = {}
        self._there: set[str] = set()
        """pods whose cgroup has existed"""
        self._ended: OrderedDict[str, None] = OrderedDict()
        """pods that are gone and whose cgroup had existed; a container that was being created meanwhile brings one back"""
        self._files = KnownFiles()
        self._quotas: dict[str, dict[str, int]] = {}
        """pod → container name → kubelet's quota for it, 0 for none; kept for containers that are gone, since they may return"""

    def plan(self, pod: Pod, world: World, writer: Writer, scan: Scan) -> PodPlan:
        """Decide one pod, and return which of its files must be written.

        Raises NodeError when the runtime reported no usable cgroup.
        """
        directory = pod_directory(pod.cgroup_parent)
        if (scan in (Scan.SWEEP, Scan.ALL) or pod.id in self._ended) and self._is_gone(pod, directory, writer):
            self._ended[pod.id] = None
            return PodPlan([], {}, [], {}, gone=True)
        plan = self._kept(pod, world) if scan in (Scan.KNOWN, Scan.SWEEP) else None
        if plan is not None and scan is Scan.SWEEP and not all(map(writer.holds, plan.kubelets)):
            plan = None
        if plan is None or not self._are_right(plan.goals, writer, scan):
            plan = self._decide(pod, world, writer, directory)
            self._plans[pod.id] = (pod, plan)
            if scan is Scan.ALL or not self._are_right(plan.goals, writer, scan):
                return plan
        return plan._replace(goals=[])

    def _decide(self, pod: Pod, world: World, writer: Writer, directory: str) -> PodPlan:
        node, force = world.snapshot.node, world.snapshot.policy.memory.shrink_below_usage
        owner = self.owner(pod)
        before = self._before(owner, directory, writer, node.cgroup_version)
        entries = self._ledger.containers_of(pod.id)
        containers = [Container(entry.id, entry.name, pod.id, entry.baseline) for entry in entries]
        there = writer.has(directory)
        if there:
            before |= self._by_containers(pod, before, containers, world.snapshot, writer, directory)
        kubelets = kubelets_files(directory, before, writer) if there else []
        as_set = as_kubelet_set_it(pod.resources, before, kubelets)
        decision = self._chain.decide_pod(pod.with_resources(as_set), world.snapshot, containers)
        decisions = [("", decision)]
        wants = wanted(directory, decision, node, force)
        back = back_to_before(directory, before, decision, node)
        if _CPUS in wants or _CPUS in back:
            sandbox = self._sandbox(pod, world, writer)
            wants, back = in_sandbox(wants, sandbox), in_sandbox(back, sandbox)
        goals = [Goal(owner, n, c, False) for n, c in wants.items()]
        goals += [Goal(owner, n, c, True) for n, c in back.items()]
        updates: dict[str, Update] = {}
        groups: dict[str, str] = {}
        whole = len(goals)
        if self._ledger.creating == pod.id or not all(entry.started for entry in entries):
            goals = [g for g in goals if g.name == _CPUS or self._widens(g, writer, node.cgroup_version)]
        cut = len(goals) < whole
        for entry, container in zip(entries, containers, strict=True):
            its_owner = ContainerOwner(pod, entry, self._ledger)
            directory = container_directory(pod.cgroup_parent, entry.id, world.runtime)
            decision = self._chain.decide_container(pod, container, Event.SYNC, world.snapshot)
            decisions.append((entry.name, decision))
            if fields.RDT_CLOSID not in decision.undecided:
                groups[directory] = decision.value(fields.RDT_CLOSID) or ""
            goals += [Goal(its_owner, n, c, False) for n, c in wanted(directory, decision, node, force).items()]
            names = {*entry.sent, *self._ledger.originals(entry.id)}
            back = back_to_baseline(directory, names, decision, entry.baseline, node)
            goals += [Goal(its_owner, n, c, True) for n, c in back.items()]
            if missing := unrecorded(decision, entry.baseline, entry.sent, node, entry.drifted):
                updates[entry.id] = Update(entry.id, pod.id, tuple(missing), entry.baseline.period_us)
        planned = [(entry.id, entry.started) for entry in entries]
        if not there:
            return PodPlan([], updates, decisions, groups, kubelets, containers=planned)
        self._there.add(pod.id)
        holds = [goal for goal in goals if not goal.restores]
        return PodPlan(goals, updates, decisions, groups, kubelets, holds=holds, containers=planned, whole=not cut)

    def _sandbox(self, pod: Pod, world: World, writer: Writer) -> str | None:
        """The cgroup of the pod's sandbox; None when there is none (any more)."""
        directory = container_directory(pod.cgroup_parent, pod.id, world.runtime)
        return directory if writer.has(directory) else None

    def plan_classes(self, world: World, writer: Writer, scan: Scan) -> PodPlan:
        """Decide the cgroups above the pods."""
        holds: list[Goal] = []
        node, plan = world.snapshot.node, PodPlan([], {}, [], {}, holds=holds)
        force = world.snapshot.policy.memory.shrink_below_usage
        for cgroup, decision in decide_classes(self._chain, self._ledger.pods(), world.snapshot):
            owner, directory = ClassOwner(cgroup, self._files), cgroup.directory
            self._note_idle_class(cgroup, writer, node)
            before = self._before(owner, directory, writer, node.cgroup_version)
            goals = [Goal(owner, n, c, False) for n, c in wanted(directory, decision, node, force).items()]
            holds += goals
            goals += [Goal(owner, n, c, True) for n, c in back_to_before(directory, before, decision, node).items()]
            plan.goals.extend(g for g in goals if scan is Scan.ALL or not self._are_right([g], writer, scan))
            plan.decisions.append((cgroup.name, decision))
        return plan

    def _note_idle_class(self, cgroup: ClassCgroup, writer: Writer, node: NodeState) -> None:
        """An idle class keeps kubelet from starting, and only earlier versions of koordnri made a class idle. So that is given back, even
        if they left no original.
        """
        field = fields.CPU_IDLE
        if cgroup.qos is not KubeQoS.BESTEFFORT or not node.field_files[field]:
            return
        kubelets = {field.name: 0, fields.CPU_SHARES.name: MIN_SHARES}
        if kubelets.keys() - self._ledger.originals(cgroup.id) and writer.read(cgroup.directory, field).value == 1:
            self._ledger.intend(cgroup.id, kubelets)

    def _is_gone(self, pod: Pod, directory: str, writer: Writer) -> bool:
        if writer.has(directory):
            self._there.add(pod.id)
            return False
        return pod.id in self._there or pod.id in self._ended

    def _widens(self, goal: Goal, writer: Writer, version: int) -> bool:
        """Whether a pod's goal makes room for one of its containers. The OCI runtime is about to make the container's cgroup with values
        of an older decision. v1 refuses a child above its parent, and the container would not start.
        """
        nested = nesting(goal.change.field, version)
        found = writer.read(*goal.change[:3]).value
        return nested is None or found is None or nested.covers(goal.change.value, found)

    def _kept(self, pod: Pod, world: World) -> PodPlan | None:
        """The pod's last plan, if nothing has changed on the node since: the chain is pure, so it would be the same."""
        under = (world.snapshot, world.runtime, self._ledger.edits)
        if self._under is None or self._under[1:] != under[1:] or not mean_the_same(self._under[0], under[0]):
            self._plans.clear()
        self._under = under
        pod_then, plan = self._plans.get(pod.id, (None, None))
        return plan if pod_then is pod and self._ledger.creating != pod.id else None

    def missed(self, goal: Goal, found: Any) -> None:
        """The file of a goal does not have its value. `found`: how it reads, None when it cannot be read."""
        self.misses += 1
        goal.owner.missed(goal.name, found)

    def owner(self, pod: Pod) -> PodOwner:
        """The owner of a pod's files."""
        return PodOwner(pod, self._files)

    def forget_gone(self) -> None:
        """Drop what is known of pods that are gone."""
        there = {pod.id for pod in self._ledger.pods()} | CLASS_IDS
        self._files.keep(there)
        self._ended.update(dict.fromkeys(self._there - there))
        self._there &= there
        while len(self._ended) > MOST_ENDED:
            self._ended.popitem(last=False)
        self._quotas = {pod_id: quotas for pod_id, quotas in self._quotas.items() if pod_id in there}

    def note_before(self, goals: Iterable[Goal], writer: Writer, node: NodeState) -> bool:
        """Store the values of pods' files that are about to be written for the first time. Returns whether there were any."""
        noted = False
        for goal in goals:
            if goal.restores or not goal.owner.keeps_originals or goal.name in self._ledger.originals(goal.owner.id):
                continue
            before = writer.read(*goal.change[:3]).value
            if goal.change.field is fields.CPU_IDLE and before == 0:
                noted |= self._note_shares(goal, writer)  # the kernel resets them
            if before == "" and goal.change.field is fields.CPU_CPUS and node.topology is not None:
                before = str(node.topology.online)  # v2 refuses to empty it again while processes run there
            if before is not None and not goal.change.field.same(before, goal.change.value):
                self._ledger.intend(goal.owner.id, {goal.name: before})
                noted = True
        return noted

    def _note_shares(self, goal: Goal, writer: Writer) -> bool:
        name = fields.CPU_SHARES.name
        shares = writer.read(goal.change.directory, fields.CPU_SHARES).value
        if shares is None or name in self._ledger.originals(goal.owner.id):
            return False
        self._ledger.intend(goal.owner.id, {name: shares})
        return True

    def _are_right(self, goals: Iterable[Goal], writer: Writer, scan: Scan) -> bool:
        return all(self.is_right(g) and (scan is not Scan.SWEEP or writer.holds(g.change)) for g in goals)

    def is_right(self, goal: Goal) -> bool:
        """Whether the file of a goal had its value when it was last read."""
        return goal.owner.is_right(goal.name, goal.change)

    def _before(self, owner: PodOwner | ClassOwner, directory: str, writer: Writer, version: int) -> dict[str, Any]:
        """Originals of the files of a pod or class. A value that differs from what we wrote is kubelet's new one: a resize."""
        before = self._ledger.originals(owner.id)
        for name in before:
            field, key = split_name(name)
            ours = self._files.of(owner.id, name)
            spelled = None if field is None or key else form(field, version)
            if field is None or spelled is None or ours is None:
                continue
            if name == _CPUS and owner.pod is not None:
                continue  # the sandbox's, which kubelet never changes; v1 removes CPUs from it that go offline
            if field is fields.CPU_SHARES and writer.read(directory, fields.CPU_IDLE).value == 1:
                continue  # set by the kernel for an idle cgroup
            found = writer.read(directory, field).value
            # If it could not be read the last time, compare with what we wrote.
            if found is None or spelled.same(ours.wanted if ours.found is None else ours.found, found):
                continue
            if not _mean_the_same(
                spelled, before[name], found
            ):  # otherwise the same value was set again, which is no resize
                before[name] = found
                self._ledger.rebase(owner.id, name, found)
            owner.missed(name, found)
        return before

    def _by_containers(
        self,
        pod: Pod,
        before: Mapping[str, Any],
        containers: Sequence[Container],
        snapshot: Snapshot,
        writer: Writer,
        directory: str,
    ) -> dict[str, Any]:
        """kubelet's quota of a pod, inferred from its containers when the pod's file does not show it (koordnri.reconcile.pods_quota).

        Case 1: the containers were resized, and kubelet's new value of the pod equals the one that we had written. A container that
        crashed, and so is missing or listed twice for a while, is no resize: kubelet's value depends on the pod's spec.
        Case 2: the state directory was lost. The file's value is ours if it equals what we would make of the sum.
        """
        name = fields.CPU_QUOTA.name
        last = self._quotas.get(pod.id)
        now = quotas_by_name(pod, containers, last or {})
        self._quotas[pod.id] = now
        total = pods_quota(pod, now)
        if not total:
            return {}
        if last is not None:
            resized = any(last.get(container, quota) != quota for container, quota in now.items())
            if not resized or before.get(name) != pods_quota(pod, last):
                return {}
            self._ledger.rebase(pod.id, name, total)
            return {name: total}
        found = None if name in before else writer.read(directory, fields.CPU_QUOTA).value
        if (
            found is None or found <= 0 or found == total
        ):  # no limit: kubelet may never have set one, and there is nothing to scale
            return {}
        as_set = pod.with_resources(msgspec.structs.replace(pod.resources, cpu_quota=total))
        if self._chain.decide_pod(as_set, snapshot, containers).value(fields.CPU_QUOTA) != found:
            return {}
        self._ledger.intend(pod.id, {name: total})
        return {name: total}


def _mean_the_same(spelled: Form, noted: Any, found: Any) -> bool:
    """Whether an original (perhaps from another version of koordnri) equals a value that was read."""
    try:
        return noted is not None and spelled.same(noted, found)
    except (TypeError, ValueError):
        return False


def mean_the_same(one: Snapshot, other: Snapshot) -> bool:
    """Whether decisions under both snapshots are the same: an edit may change parts that no decision reads."""
    if one is other:
        return True
    first, second = (
        msgspec.structs.replace(s.policy, revision="", source="", strategies={}, notes=()) for s in (one, other)
    )
    return first == second and one.node == other.node


def kubelets_files(directory: str, before: Mapping[str, Any], writer: Writer) -> list[Change]:
    """Files of a pod's cgroup that show kubelet's resources and have no value of ours."""
    found = [Change(directory, f, "", writer.read(directory, f).value) for f in _ON_POD if f.name not in before]
    return [change for change in found if change.value is not None]


def as_kubelet_set_it(reported: Resources, before: Mapping[str, Any], kubelets: Iterable[Change]) -> Resources:
    """A pod's resources, or a class's, as they are in its cgroup, or were before koordnri.

    NRI's resources of a pod are the sum of its containers' limits, even if one has none and kubelet set no limit at all.
    """
    known = {f.baseline: before[f.name] for f in _ON_POD if before.get(f.name) is not None}
    known |= {change.field.baseline: change.value for change in kubelets}
    return msgspec.structs.replace(reported, **known)
