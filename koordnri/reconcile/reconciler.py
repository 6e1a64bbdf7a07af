"""The thread that makes running containers and their pods follow: write first, read back, look again every few seconds.

A pass decides every affected pod and container again, by the same chain as an event does, and writes what the files do not have
yet. Nothing changes, nothing is written. What the kernel or somebody else refuses is tried again at the next sweep, and told once.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from koordnri.chain import Chain, Snapshot
from koordnri.host.cgroup_paths import container_directory, pod_directory
from koordnri.host.change import Change, Outcome, Status, by_level
from koordnri.host.spelling import form
from koordnri.host.writer import Writer
from koordnri.ledger import Entry, Ledger
from koordnri.model import Container, Event, NodeError, Pod, fields
from koordnri.model.routes import WRITE
from koordnri.reconcile.plan import back_to_baseline, back_to_before, split_name, wanted

DEBOUNCE_S = 0.1
"""Several edits of a policy within this become one pass."""
SWEEP_S = 10.0
"""How often everything is compared with its files, whatever happened."""


class World(NamedTuple):
    """What a pass reads besides the ledger."""

    snapshot: Snapshot
    runtime: str
    """name of the runtime, by which containers' cgroups are called"""


class Stats:
    """Plain numbers for `observe`."""

    def __init__(self) -> None:
        self.passes: Counter[str] = Counter()
        """trigger (change, pod, sweep) → passes"""
        self.writes: Counter[tuple[str, str]] = Counter()
        """(field, status of the outcome) → count; what had its value already is not counted"""
        self.drift: Counter[str] = Counter()
        """field → files that had lost their value and got it back in a sweep"""
        self.last_pass_s = 0.0
        self.changed_to_verified_s = 0.0
        """from the last change of policy or node to the last file read back"""


class _Goal(NamedTuple):
    """A change, and what is to be remembered once it is made."""

    owner: Pod | Entry
    name: str
    change: Change
    restores: bool


class Reconciler:
    """`run` blocks until `stop`; `trigger` may be called from any thread and never blocks.

    writer   makes the writer for a cgroup version; tests give it a refusing kernel
    save     puts the ledger's notes on disk at once
    """

    def __init__(
        self,
        chain: Chain,
        ledger: Ledger,
        world: Callable[[], World],
        writer: Callable[[int], Writer],
        log: Any,
        save: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
        debounce_s: float = DEBOUNCE_S,
    ) -> None:
        self.stats = Stats()
        self._chain = chain
        self._ledger = ledger
        self._world = world
        self._make_writer = writer
        self._log = log
        self._save = save
        self._ours: dict[tuple[str, str], Any] = {}
        """(pod, field) → what we wrote last; another value in the file is somebody else's"""
        self._monotonic = monotonic
        self._debounce_s = debounce_s
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._pods: deque[str] = deque()
        """ids of pods to look at; appended to by one thread while another takes from it, which a set does not bear"""
        self._all_since: float | None = None
        self._told: set[tuple[str, str, str]] = set()
        """failures that were logged, as (directory, field, what was wanted and came of it); errors may tell numbers that move"""

    # -- triggers: any thread -----------------------------------------------------------------------------------------

    def trigger(self, pod_id: str | None = None) -> None:
        """Something changed: one pod, or (None) the policy or the node, and with it everything."""
        if pod_id is not None:
            self._pods.append(pod_id)
        elif self._all_since is None:
            self._all_since = self._monotonic()
        self._wake.set()

    def stop(self) -> None:
        """End `run` after the pass that is under way."""
        self._stop.set()
        self._wake.set()

    # -- the thread ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Pass after pass until `stop`."""
        sweep_at = self._monotonic() + SWEEP_S
        while not self._stop.is_set():
            self._wake.wait(max(sweep_at - self._monotonic(), 0.0))
            if self._all_since is not None and self._stop.wait(self._debounce_s):
                return
            self._wake.clear()
            since, self._all_since = self._all_since, None
            pods = {self._pods.popleft() for _ in range(len(self._pods))}
            if since is not None:
                self.reconcile("change", self._ledger.pods())
                self.stats.changed_to_verified_s = self._monotonic() - since
            elif pods:
                self.reconcile("pod", [p for i in pods if (p := self._ledger.pod(i)) is not None])
            if self._monotonic() >= sweep_at:
                self.reconcile("sweep", self._ledger.pods())
                sweep_at = self._monotonic() + SWEEP_S

    def reconcile(self, trigger: str, pods: Iterable[Pod]) -> list[Outcome]:
        """One pass over these pods and their containers."""
        started, world = self._monotonic(), self._world()
        writer = self._make_writer(world.snapshot.node.cgroup_version)
        goals: list[_Goal] = []
        for pod in pods:
            try:
                goals += self._pod_goals(pod, world, writer)
            except NodeError as error:
                self._tell(pod.id, "cgroup", "", str(error), of=f"{pod.namespace}/{pod.name}")
        outcomes: list[Outcome] = []
        # Two names may stand for one disk: what is wanted comes before what is only to be undone.
        goals.sort(key=lambda goal: not goal.restores)
        by_target = {goal.change[:3]: goal for goal in goals}
        self._note_before(by_target.values(), writer)
        for outcome in (o for o in writer.apply(by_level(g.change for g in by_target.values()))):
            outcomes.append(outcome)
            self._settle(by_target[outcome.change[:3]], outcome, trigger)
        self._ours = {key: value for key, value in self._ours.items() if self._ledger.pod(key[0]) is not None}
        self.stats.passes[trigger] += 1
        self.stats.last_pass_s = self._monotonic() - started
        return outcomes

    def _pod_goals(self, pod: Pod, world: World, writer: Writer) -> list[_Goal]:
        node = world.snapshot.node
        directory = pod_directory(pod.cgroup_parent)
        before = self._before(pod, directory, writer, node.cgroup_version)
        decision = self._chain.decide_pod(_as_kubelet_set_it(pod, before, writer, directory), world.snapshot)
        goals = [_Goal(pod, n, c, False) for n, c in wanted(directory, decision, node).items()]
        goals += [_Goal(pod, n, c, True) for n, c in back_to_before(directory, before, decision, node).items()]
        for entry in self._ledger.containers_of(pod.id):
            goals += self._container_goals(pod, entry, world)
        return goals

    def _before(self, pod: Pod, directory: str, writer: Writer, version: int) -> dict[str, Any]:
        """What the pod's files held before us. A value that is not the one we wrote is kubelet's new one: it resized the pod."""
        before = self._ledger.written(pod.id)
        for name in before:
            field, key = split_name(name)
            ours = self._ours.get((pod.id, name))
            spelled = None if field is None or key or ours is None else form(field, version)
            if field is None or spelled is None:
                continue
            found = writer.read(directory, field).value
            if found is not None and not spelled.same(ours, found):
                before[name] = found
                self._ledger.rebase(pod.id, name, found)
        return before

    def _note_before(self, goals: Iterable[_Goal], writer: Writer) -> None:
        """Note, on disk, what is in the pods' files that are about to be written for the first time."""
        noted = False
        for goal in goals:
            if goal.restores or not isinstance(goal.owner, Pod) or goal.name in self._ledger.written(goal.owner.id):
                continue
            before = writer.read(*goal.change[:3]).value
            if before is not None and not goal.change.field.same(before, goal.change.value):
                self._ledger.intend(goal.owner.id, {goal.name: before})
                noted = True
        if noted:
            self._save()

    def _container_goals(self, pod: Pod, entry: Entry, world: World) -> list[_Goal]:
        node = world.snapshot.node
        directory = container_directory(pod.cgroup_parent, entry.id, world.runtime)
        container = Container(entry.id, entry.name, pod.id, entry.baseline)
        decision = self._chain.decide_container(pod, container, Event.SYNC, world.snapshot)
        names = {*entry.decided, *self._ledger.written(entry.id)}
        goals = [_Goal(entry, n, c, False) for n, c in wanted(directory, decision, node).items()]
        back = back_to_baseline(directory, names, decision, entry.baseline, node)
        return goals + [_Goal(entry, n, c, True) for n, c in back.items()]

    def _settle(self, goal: _Goal, outcome: Outcome, trigger: str) -> None:
        """Remember what was done; count it; say once what could not be done."""
        status, owner, name = outcome.status, goal.owner, goal.name
        had = self._had(goal)
        if status is not Status.SAME and status is not Status.GONE:
            self.stats.writes[goal.change.field.name, status.value] += 1
        if status in (Status.SAME, Status.WRITTEN):
            if isinstance(owner, Pod):
                self._ours[owner.id, name] = outcome.after
            if goal.restores:
                self._ours.pop((owner.id, name), None)
                self._ledger.restored(owner.id, name)
            elif status is Status.WRITTEN:
                if trigger == "sweep" and had:
                    self.stats.drift[goal.change.field.name] += 1
                self._ledger.wrote(owner.id, name, outcome.before, (goal.change.value, WRITE))
        elif status is not Status.GONE:
            who = f"{owner.namespace}/{owner.name}" if isinstance(owner, Pod) else owner.name
            self._tell(goal.change.directory, name, f"{goal.change.value} {status}", outcome.error, of=who)

    def _had(self, goal: _Goal) -> bool:
        """Whether the field had been brought to this value before, so that it is lost and not merely late."""
        owner = goal.owner
        if isinstance(owner, Pod):
            return (owner.id, goal.name) in self._ours
        written = goal.name in self._ledger.written(owner.id)
        value, route = owner.decided.get(goal.name, (None, WRITE))
        return (written or route != WRITE) and goal.change.field.same(value, goal.change.value)

    def _tell(self, directory: str, field: str, what: str, error: str, of: str) -> None:
        told = (directory, field, what)
        if told not in self._told:
            if len(self._told) > 10_000:
                self._told.clear()
            self._told.add(told)
            self._log.warning("apply_failed", directory=directory, field=field, error=error, of=of)


def _as_kubelet_set_it(pod: Pod, before: dict[str, Any], writer: Writer, directory: str) -> Pod:
    """The pod with what is really in its cgroup as its baseline.

    What NRI tells of a pod's resources is the sum of its containers' limits, also where one has none and kubelet set no limit at all.
    """
    known: dict[str, Any] = {}
    for field, attribute in ((fields.CPU_QUOTA, "cpu_quota"), (fields.MEMORY_LIMIT, "memory_limit")):
        value = before[field.name] if field.name in before else writer.read(directory, field).value
        if value is not None:
            known[attribute] = value
    told = msgspec.structs.replace(pod.resources, **known)
    return pod if told == pod.resources else pod.with_resources(told)
