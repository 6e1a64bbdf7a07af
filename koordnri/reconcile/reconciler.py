"""The thread that makes running containers and their pods follow: write first, read back, record when it is safe, look again.

A pass decides every affected pod and container again, by the same chain as an event does, and writes what the files do not have
yet. Nothing changes, nothing is written. What the kernel or somebody else refuses is tried again at the next sweep, and told once.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from zlib import crc32

from koordnri.chain import Chain, Snapshot
from koordnri.host.cgroup.change import Outcome, Reading, Status
from koordnri.host.cgroup.paths import container_directory, pod_directory
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Container, Decision, Field, NodeError, NodeState, Pod, fields
from koordnri.model.annotations import RESCTRL_KEY
from koordnri.model.log import Log
from koordnri.reconcile.comparison import Running
from koordnri.reconcile.drift import CLASSES, Drift, Watch
from koordnri.reconcile.drift_pace import MOST, RARELY_S
from koordnri.reconcile.failures import Failure, Failures
from koordnri.reconcile.plan import Goal, Update
from koordnri.reconcile.planner import Planner, PodPlan, Scan, as_kubelet_set_it, kubelets_files, mean_the_same
from koordnri.reconcile.recorder import Recorder
from koordnri.reconcile.undone import Undone, by_whom
from koordnri.reconcile.writing import Done, Writing, pod_id_of
from koordnri.resctrl.shares import CacheShares
from koordnri.state.containment import Faults
from koordnri.state.ledger import CLASS_IDS, Ledger
from koordnri.state.world import World

DEBOUNCE_S = 0.1
"""Several edits of a policy within this become one pass."""
ABOVE_S = 0.25
"""What stands above the pods (QoS classes, resctrl groups) is a matter of all of them: while pods come and go, it is looked at so often."""
RESTS = 9
"""After a pass over everything, the next one that nobody waits for comes after so many times as long: where changes never end, as pods
with exclusive CPUs come and go, reconciling takes a tenth of a core, and containers' creation has the interpreter for itself."""
SWEEP_S = 10.0
"""How often what no watch covers is compared with its files, whatever happened."""
TURNS = 6
"""What a watch covers is compared at every so many sweeps, each time another part of it."""
COVER_S = 1.0
"""How soon a container that was started is watched; most have been by a pass that their start caused."""


_SCANS = {"change": Scan.KNOWN, "pod": Scan.ANEW, "drift": Scan.SWEEP, "sweep": Scan.SWEEP, "asked": Scan.ALL}


class Stats:
    """Plain numbers for `observe`."""

    def __init__(self) -> None:
        self.passes: Counter[str] = Counter()
        """trigger (change, pod, drift, sweep, asked) → passes"""
        self.writes: Counter[tuple[str, str]] = Counter()
        """(field, status of the outcome) → count; what had its value already is not counted"""
        self.failures: Counter[tuple[str, str, str]] = Counter()
        """(field, route, reason) → files that would not take their value"""
        self.last_pass_s = 0.0
        self.changed_to_verified_s = 0.0
        """from the last change of policy or node to the last file read back"""


class Reconciler:
    """`run` blocks until `stop`; `trigger` may be called from any thread and never blocks.

    writer     makes the writer for a cgroup version; tests give it a refusing kernel
    save       puts the ledger's notes on disk at once
    decided    told of each decision of a pod's own cgroup (container is "" then), and of those of containers that have errors
    failed     told of each file that would not take its value, when retries did not help
    gone       told of a pod whose cgroup went without the runtime telling; it is to be forgotten
    open_watch makes the watch of cgroup directories, given what to call when there is something to look at; None: sweeps find all
    tell_node  a Warning Event on the Node: reason, message
    cache      brings resctrl groups and the threads in them about; None: nobody does
    before_pass, after_pass   told around each pass over everything that a change or the sweep asks for
    recorder   brings the runtime's stored spec to agree; None: nobody does
    faults     keeps a bug to what it is in: one pod, one file, one part of a pass
    """

    def __init__(
        self,
        chain: Chain,
        ledger: Ledger,
        world: Callable[[], World],
        writer: Callable[[int], Writer],
        log: Log,
        save: Callable[[], None] = lambda: None,
        decided: Callable[[Pod, str, Decision], None] = lambda pod, container, decision: None,
        failed: Callable[[Failure], None] = lambda failure: None,
        recorder: Recorder | None = None,
        gone: Callable[[Pod], None] | None = None,
        cache: CacheShares | None = None,
        open_watch: Callable[[Callable[[], None]], Watch] | None = None,
        tell_node: Callable[[str, str], None] = lambda reason, message: None,
        before_pass: Callable[[], None] = lambda: None,
        after_pass: Callable[[], None] = lambda: None,
        faults: Faults | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        debounce_s: float = DEBOUNCE_S,
    ) -> None:
        self.stats = Stats()
        self.waited_for = False
        """whether the runtime, or a person, waits for the pass that is under way"""
        self._planner = Planner(chain, ledger)
        self._ledger = ledger
        self._world = world
        self._make_writer = writer
        self._faults = faults = faults or Faults(log)
        self._writing = Writing(self._planner, save, faults)
        self._decided = decided
        self._failures = Failures(log, failed)
        self._recorder = recorder
        self._cache = cache
        self._before_pass = before_pass
        self._after_pass = after_pass
        self._gone = gone or (lambda pod: ledger.forget_pod(pod.id))
        self._monotonic = monotonic
        self.undone = Undone(log)
        is_right = self._planner.is_right
        self.drift = None if open_watch is None else Drift(open_watch, is_right, ledger, log, tell_node, monotonic)
        self._writer: Writer | None = None
        """of the last pass"""
        self._sweeps = 0
        self._cover_at = float("-inf")
        self._debounce_s = debounce_s
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._rush = threading.Event()
        """set where the debounce is not to be waited for"""
        self._pods: deque[str] = deque()
        """ids of pods to look at; appended to by one thread while another takes from it, which a set does not bear"""
        self._all_since: float | None = None
        self._rests_until = float("-inf")
        self._asked: queue.SimpleQueue[tuple[list[Pod], queue.SimpleQueue[list[Done] | None]]] = queue.SimpleQueue()
        self._applied: Snapshot | None = None
        """what the last pass over everything went by"""
        self._above_at = float("-inf")
        self._above_late = False
        self._turn = threading.Condition()
        self._hurried = 0
        self._done = 0
        """the last `hurry` that a pass has served"""
        self._faulty_until: dict[str, float] = {}
        """part of the work (drift, record) → it rests until then, after a fault in it"""
        self._later: list[tuple[float, str]] = []
        """(when, pod) to be looked at again"""

    # -- triggers: any thread -----------------------------------------------------------------------------------------

    def trigger(self, pod_id: str | None = None) -> None:
        """Something changed: one pod, or (None) the policy or the node, and with it everything."""
        if pod_id is None:
            self._unsettle()
        elif self._ledger.pod(pod_id) is not None:
            self._pods.append(pod_id)
        elif self._above_late:
            return  # gone, and what stands above it will be looked at anyway
        else:
            self._above_late = True
        self._wake.set()

    def hurry(self) -> int:
        """As `trigger()`, without the debounce: somebody waits. Returns the number to give to `wait_done`."""
        with self._turn:
            self._hurried += 1
            number = self._hurried
        self._unsettle()
        self._rush.set()
        self._wake.set()
        return number

    def _unsettle(self) -> None:
        if self._all_since is None:
            self._all_since = self._monotonic()
        if self._recorder is not None:
            self._recorder.unsettle()

    def catch_up(self, pod: Pod, snapshot: Snapshot, timeout_s: float) -> None:
        """Wait until a pod has what follows from a snapshot, if that is not so yet, at most so long."""
        if snapshot is not self._applied and timeout_s > 0:
            with contextlib.suppress(TimeoutError):
                self.ask([pod], timeout_s)

    def wait_done(self, number: int, timeout_s: float) -> bool:
        """Wait until a pass that began after that `hurry` has ended. False when it takes longer."""
        with self._turn:
            return self._turn.wait_for(lambda: self._done >= number, timeout_s)

    def wake(self) -> None:
        """The recorder has something to do."""
        self._wake.set()

    def ask(self, pods: list[Pod], timeout_s: float) -> list[Done]:
        """Have these pods looked at now, every file of them, and wait for what comes of it.

        Raises TimeoutError when the thread does not come round in time, or is not running (any more).
        """
        answer: queue.SimpleQueue[list[Done] | None] = queue.SimpleQueue()
        self._asked.put((pods, answer))
        self._rush.set()
        self._wake.set()
        try:
            done = answer.get(timeout=timeout_s)
        except queue.Empty:
            done = None
        if done is None:
            raise TimeoutError(
                f"the reconciler did not come round within {timeout_s:.0f} s, or its pass failed; see the log"
            )
        return done

    def running(self, pods: Iterable[Pod]) -> list[Running]:
        """These pods as they are, or the cgroups above them, for a comparison."""
        world = self._world()
        writer = self._make_writer(world.snapshot.node.cgroup_version)
        found = []
        for pod in pods:
            before = self._ledger.written(pod.id)
            containers = [Container(e.id, e.name, pod.id, e.baseline) for e in self._ledger.containers_of(pod.id)]
            one = Running(pod, containers, before)
            with contextlib.suppress(NodeError):  # without a cgroup, what NRI told of it must do
                directory = pod.cgroup_parent if pod.id in CLASS_IDS else pod_directory(pod.cgroup_parent)
                pod = as_kubelet_set_it(pod, before, kubelets_files(directory, before, writer))
                one = one._replace(pod=pod, read=partial(writer.read, directory))
                if pod.id not in CLASS_IDS:
                    sandbox = container_directory(pod.cgroup_parent, pod.id, world.runtime)
                    one = one._replace(read=partial(_read_own, writer, directory, sandbox), sandbox=writer.has(sandbox))
            found.append(one)
        return found

    def stop(self) -> None:
        """End `run` after the pass that is under way."""
        self._stop.set()
        self._rush.set()
        self._wake.set()

    # -- the thread ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Pass after pass until `stop`."""
        if self.drift is not None:
            self.drift.start(self._wake.set)
        try:
            self._run()
        finally:
            if self.drift is not None:
                self.drift.stop()

    def _run(self) -> None:
        sweep_at = self._monotonic() + SWEEP_S
        while not self._stop.is_set():
            self._wake.wait(max(min(self._due_at(), sweep_at) - self._monotonic(), 0.0))
            self._answer_asked()
            everything = self._all_due_at() <= self._monotonic()
            if everything:
                self._rush.wait(self._debounce_s)
                self._answer_asked()
            self._rush.clear()
            if self._stop.is_set():
                break
            self._wake.clear()
            hurried = self._hurried
            since = self._all_since if everything else None
            if self._may_try("drift") and self._heal(waited_for=hurried != self._done):
                sweep_at = self._monotonic()
            pods = {self._pods.popleft() for _ in range(len(self._pods))} | self._due_later()
            if since is not None:
                self._all_since = None
                self.waited_for = hurried != self._done
                done = self._pass("change", self._ledger.pods())
                self.waited_for = False
                self._rests_until = self._monotonic() + RESTS * self.stats.last_pass_s
                self.stats.changed_to_verified_s = self._monotonic() - since
                if done is not None:
                    with self._turn:
                        self._done = hurried
                        self._turn.notify_all()
            elif pods:
                self._pass("pod", [p for i in pods if (p := self._ledger.pod(i)) is not None])
            if self._above_late and self._monotonic() >= self._above_at + ABOVE_S:
                self._pass("pod", [])
            if self._monotonic() >= sweep_at:
                self._pass("sweep", self._ledger.pods(), rests=True)
                sweep_at = self._monotonic() + SWEEP_S
            if self._recorder is not None and self._all_since is None and self._may_try("record"):
                self._record(self._recorder)
        while not self._asked.empty():
            self._asked.get()[1].put(None)

    def _pass(self, trigger: str, pods: Iterable[Pod], *, rests: bool = False) -> list[Done] | None:
        """A pass; None where a bug ended it that is in no single pod."""
        with self._faults.within("reconcile"):
            return self.reconcile(trigger, pods, rests=rests)
        return None

    def _heal(self, waited_for: bool) -> bool:
        try:
            return self.heal(waited_for)
        except Exception as error:  # noqa: BLE001  # the sweep finds it as well
            self._failed("drift", error)
            self._sweeps = 0
            return True

    def _record(self, recorder: Recorder) -> None:
        try:
            again, in_s = recorder.step()
            self._later += [(self._monotonic() + in_s, pod_id) for pod_id in again]
        except Exception as error:  # noqa: BLE001  # what is not recorded is written all the same
            self._failed("record", error)

    def _failed(self, what: str, error: Exception) -> None:
        """It may still be due, and would be tried again at once, for ever."""
        self._faults.caught(what, error)
        self._faulty_until[what] = self._monotonic() + SWEEP_S

    def _may_try(self, what: str) -> bool:
        return self._monotonic() >= self._faulty_until.get(what, float("-inf"))

    def heal(self, waited_for: bool = False) -> bool:
        """Scan at whoever has lost a value since, as the watch tells. True when events were lost, so that everything is to be swept.

        waited_for   see Drift.scan
        """
        if self.drift is None:
            return False
        pods, everything = set[str](), False
        if self._writer is not None:
            pods, everything = self.drift.scan(self._writer, waited_for)
        if self._monotonic() >= self._cover_at:
            pods |= self.drift.uncovered()
            self._cover_at = self._monotonic() + COVER_S
        if pods:
            found = [p for i in pods if (p := self._ledger.pod(i)) is not None]
            self.reconcile("drift", found, above=CLASSES in pods)
            self.drift.rest(self.stats.last_pass_s)
        if everything:
            self._sweeps = 0
        return everything

    def reconcile(
        self, trigger: str, pods: Iterable[Pod], *, above: bool | None = None, rests: bool = False
    ) -> list[Done]:
        """One pass over these pods and their containers. What is found to be right comes back only to who asked.

        above   whether to look at what stands above the pods, too; None: by the trigger
        rests   whether to spare the files that a watch covers, all but a part of them
        """
        pods = list(pods)
        scan = _SCANS[trigger]
        everything = trigger in ("change", "sweep")
        if everything:
            with self._faults.within("cpus"):
                self._before_pass()
        if above is None:
            above = self._looks_above(trigger, pods)
        if above and self._cache is not None and trigger != "drift":
            with self._faults.within("resctrl"):
                self._cache.groups(self._ledger.pods(), self._world)
        started, world = self._monotonic(), self._world()
        # What a sweep finds under another snapshot is late, as passes over everything rest, and not lost.
        applied = self._applied if trigger in ("drift", "sweep") else None
        drifts = applied is not None and mean_the_same(applied, world.snapshot)
        groups: dict[str, str] = {}
        if rests and drifts:
            pods, groups = self._part_of(pods)
            above_rests = self._sweeps % TURNS != 0 and self.drift is not None and self.drift.covers(CLASSES)
        else:
            above_rests = False
        writer = self._writer = self._make_writer(world.snapshot.node.cgroup_version)
        goals: list[Goal] = []
        updates: dict[str, Update] = {}
        owners: dict[str, Pod] = {}
        if above and self._planner.decides_classes and not above_rests:
            with self._faults.within("classes"):
                goals += self._plan_classes(world, writer, scan, renew=trigger == "sweep").goals
        for pod in pods:
            with self._faults.within("plan", pod):
                plan = self._plan(pod, world, writer, scan, renew=trigger == "sweep")
                owners[pod.id] = pod
                goals += plan.goals
                updates.update(plan.updates)
                groups.update(plan.groups)
        # Two names may stand for one disk: what is wanted comes before what is only to be undone.
        goals.sort(key=lambda goal: not goal.restores)
        goals = list({goal.change[:3]: goal for goal in goals}.values())
        node = world.snapshot.node
        done = self._writing.write(goals, owners, writer, node)
        for goal, outcome in done:
            with self._faults.within("settle", owners.get(pod_id_of(goal))):
                self._settle(goal, outcome, drifts, owners, node)
        self.undone.end()
        # What was refused is not recorded either: the runtime would write it without looking at what is in use.
        refused: dict[str, set[str]] = {}
        for goal, outcome in done:
            if outcome.status in (Status.REFUSED, Status.WAITS):
                refused.setdefault(goal.owner.id, set()).add(goal.name)
        updates = {i: left for i, u in updates.items() if (left := u.without(refused.get(i, ()))) is not None}
        if self._cache is not None:
            with self._faults.within("resctrl"):
                self._cache.threads(groups, node.cgroup_version, sweep=trigger == "sweep")
        if self._recorder is not None:
            looked_at = [entry.id for pod_id in owners for entry in self._ledger.containers_of(pod_id)]
            with self._faults.within("record"):
                self._recorder.plan(looked_at, updates)
        if everything:
            self._planner.forget_gone()
            self._applied = world.snapshot
            with self._faults.within("cpus"):
                self._after_pass()
        self.stats.passes[trigger] += 1
        self.stats.last_pass_s = self._monotonic() - started
        return done

    def _plan_classes(self, world: World, writer: Writer, scan: Scan, renew: bool) -> PodPlan:
        plan = self._planner.plan_classes(world, writer, scan)
        if self.drift is not None:
            self.drift.follow(CLASSES, "", plan, writer, renew=renew)
        for name, decision in plan.decisions:
            if decision.errors:
                self._decided(Pod(f"class:{name}", "", "", name), "", decision)
        return plan

    def _plan(self, pod: Pod, world: World, writer: Writer, scan: Scan, renew: bool) -> PodPlan:
        try:
            plan = self._planner.plan(pod, world, writer, scan)
        except NodeError as error:
            self._tell(Failure(pod, "", pod.id, "cgroup", "", "", str(error)))
            return PodPlan([], {}, [], {})
        if plan.gone:
            self._gone(pod)
        elif self.drift is not None:
            self.drift.follow(pod.id, pod_directory(pod.cgroup_parent), plan, writer, renew)
        for container, decision in plan.decisions:
            if decision.errors or not container:
                self._decided(pod, container, decision)
        return plan

    def _part_of(self, pods: list[Pod]) -> tuple[list[Pod], dict[str, str]]:
        """Of all pods, those whose files this sweep reads; and of the others, the containers' resctrl groups: no watch covers threads."""
        self._sweeps += 1
        if self.drift is None or self._sweeps == 1:
            return pods, {}
        turn, covered = self._sweeps % TURNS, self.drift.covered(self._planner.misses)
        rest = {p.id for p in pods if p.id in covered and crc32(p.id.encode()) % TURNS != turn}
        groups: dict[str, str] = {}
        for pod_id in rest:
            groups.update(self.drift.groups_of(pod_id))
        return [p for p in pods if p.id not in rest], groups

    def _looks_above(self, trigger: str, pods: list[Pod]) -> bool:
        now = self._monotonic()
        if trigger == "pod" and now - self._above_at < ABOVE_S and not any(RESCTRL_KEY in p.annotations for p in pods):
            self._above_late = True
            return False
        self._above_at, self._above_late = now, False
        return True

    def _all_due_at(self) -> float:
        if self._all_since is None:
            return float("inf")
        return self._rests_until if self._hurried == self._done else self._all_since

    def _due_at(self) -> float:
        times = [self._all_due_at(), *(at for at, _ in self._later)]
        if self.drift is not None:
            times.append(max(min(self.drift.due_at(), self._cover_at), self._faulty_until.get("drift", float("-inf"))))
        if self._above_late:
            times.append(self._above_at + ABOVE_S)
        if self._recorder is not None and self._all_since is None and (due_s := self._recorder.due_s()) is not None:
            times.append(max(self._monotonic() + due_s, self._faulty_until.get("record", float("-inf"))))
        return min(times)

    def _due_later(self) -> set[str]:
        now = self._monotonic()
        due = {pod_id for at, pod_id in self._later if at <= now}
        self._later = [(at, pod_id) for at, pod_id in self._later if at > now]
        return due

    def _answer_asked(self) -> None:
        while not self._asked.empty():
            pods, answer = self._asked.get()
            self.waited_for = True
            answer.put(self._pass("asked", pods))
            self.waited_for = False

    def _settle(self, goal: Goal, outcome: Outcome, drifts: bool, pods: dict[str, Pod], node: NodeState) -> None:
        """Remember what was done; count it; say once what could not be done."""
        status, owner, name = outcome.status, goal.owner, goal.name
        if status is Status.FAULT:
            self._faults.counts["write"] += 1
        had = self._planner.had(goal)
        if status not in (Status.SAME, Status.GONE, Status.WAITS):
            self.stats.writes[goal.change.field.name, status.value] += 1
        if status in (Status.SAME, Status.WRITTEN):
            self._planner.verified(goal, outcome.after)
            self._failures.mended(goal.change.directory, name)
            if goal.restores:
                self._ledger.restored(owner.id, name)
            elif status is Status.WRITTEN:
                if drifts and had:
                    self._note_undone(goal, outcome, pods, node)
                    if not isinstance(owner, Pod) and goal.change.field.update:
                        self._ledger.drifted(owner.id, name)
                        self._later.append((self._monotonic(), owner.pod_id))  # to be recorded again
                self._ledger.wrote(owner.id, name, outcome.before)
        elif status is not Status.GONE:
            self._planner.missed(goal, outcome.after)
            if status is not Status.WAITS:
                self.stats.failures[goal.change.field.name, "write", status.value] += 1
            if not goal.restores and outcome.after is not None and outcome.after != outcome.before:
                self._ledger.wrote(owner.id, name, outcome.before)  # a part of the way; to be taken back all the same
            change, of = goal.change, self._of(goal, pods)
            self._tell(Failure(*of, change.directory, name, change.value, status.value, outcome.error))

    def _of(self, goal: Goal, pods: Mapping[str, Pod]) -> tuple[Pod, str]:
        owner = goal.owner
        return (owner, "") if isinstance(owner, Pod) else (pods[owner.pod_id], owner.name)

    def _note_undone(self, goal: Goal, outcome: Outcome, pods: Mapping[str, Pod], node: NodeState) -> None:
        """Somebody else had written a file. Who does so without end is told of once, and fought only now and then."""
        by = by_whom(goal, outcome.before, self._ledger.written(goal.owner.id), node)
        times = 0 if self.drift is None or self._writer is None else self.drift.times(goal.change, self._writer)
        self.undone.add(goal, outcome, by, times)
        if times == MOST:
            change = goal.change
            error = f"undone by others ({by}: {outcome.before!r}) {times} times in a row; from now on it is healed every {RARELY_S:g} s"
            self._tell(Failure(*self._of(goal, pods), change.directory, goal.name, change.value, "undone", error))

    def _tell(self, failure: Failure) -> None:
        again_s = self._failures.add(failure)
        if again_s is not None:
            self._later.append((self._monotonic() + again_s, failure.pod.id))


def _read_own(writer: Writer, directory: str, sandbox: str, field: Field, disk: str) -> Reading:
    """What a pod's own file holds; of cpu.cpus, its sandbox's."""
    return writer.read(sandbox if field is fields.CPU_CPUS else directory, field, disk)


__all__ = ["DEBOUNCE_S", "SWEEP_S", "Done", "Failure", "Reconciler", "Stats"]
