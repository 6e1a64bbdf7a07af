"""The thread that makes running containers and pods follow the decision: write, read back, record when it is safe, check again.

It does the steps that `schedule` returns. A pass (`passes`) decides every affected pod and container again, by the same chain as for an
event, and writes what the files lack. What the kernel or somebody else refuses is retried at the next sweep, and reported once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from koordnri.chain import Chain
from koordnri.model import NodeState, Pod
from koordnri.model.log import Log
from koordnri.reconcile.core_scheduling import CoreSchedulingGroups
from koordnri.reconcile.drift import CLASSES, Drift
from koordnri.reconcile.drift_watches import OpenWatch
from koordnri.reconcile.failures import Failure
from koordnri.reconcile.interrupts import Interrupts
from koordnri.reconcile.passes import Passes
from koordnri.reconcile.planner import Planner
from koordnri.reconcile.ports import Machine, NoPromotions, PromotionsPort, Reports
from koordnri.reconcile.recorder import Recorder
from koordnri.reconcile.requests import Requests
from koordnri.reconcile.schedule import DEBOUNCE_S, NEVER, SWEEP_S, AnswerAsked, Heal, Pass, Schedule, Step, Touch
from koordnri.reconcile.settling import Settling
from koordnri.reconcile.terway import Terway
from koordnri.reconcile.writing import Done
from koordnri.resctrl.shares import CacheShares
from koordnri.state.containment import Faults
from koordnri.state.ledger import Ledger


class Reconciler:
    """`run` blocks until `Requests.stop`. Other threads talk to it through `requests`.

    open_watch   makes the watch of cgroup directories; None: only sweeps
    promotions, recorder, cache, expose, interrupts, terway, cookies, faults   see Passes
    """

    def __init__(
        self,
        chain: Chain,
        ledger: Ledger,
        machine: Machine,
        requests: Requests,
        reports: Reports,
        log: Log,
        *,
        promotions: PromotionsPort | None = None,
        recorder: Recorder | None = None,
        cache: CacheShares | None = None,
        expose: Callable[[NodeState], None] | None = None,
        interrupts: Interrupts | None = None,
        terway: Terway | None = None,
        cookies: CoreSchedulingGroups | None = None,
        open_watch: OpenWatch | None = None,
        faults: Faults | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        cpu_s: Callable[[], float] = time.thread_time,
        debounce_s: float = DEBOUNCE_S,
    ) -> None:
        faults = faults or Faults(log)
        planner = Planner(chain, ledger, log)
        self.hosts = planner.hosts
        drift = open_watch and Drift(open_watch, planner.is_right, ledger, log, reports.warn_node, monotonic)
        self.drift = drift
        self._ledger = ledger
        self._requests = requests
        self._recorder = recorder
        self._faults = faults
        self._monotonic = monotonic
        self._schedule = Schedule(
            monotonic(), heals=drift is not None, records=recorder is not None, debounce_s=debounce_s
        )
        settling = Settling(planner, ledger, self._schedule, drift, reports.not_applied, faults, log, monotonic)
        self.stats, self.undone = settling.stats, settling.undone
        self.not_applied = settling.not_applied
        """lists the files that do not take their value, even after retries; any thread may call it"""
        self._passes = Passes(
            planner,
            ledger,
            machine,
            reports,
            promotions or NoPromotions(),
            self._schedule,
            settling,
            faults,
            drift,
            recorder,
            cache,
            expose,
            interrupts,
            terway,
            cookies,
            self._answer_urgent,
            monotonic,
            cpu_s,
        )

    # -- the thread ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Do round after round until it is stopped."""
        if self.drift is not None:
            self.drift.start(self._requests.wake)
        try:
            while not self._requests.stopping:
                self._round()
        finally:
            for _, answer in self._requests.questions():
                answer.put(None)
            if self.drift is not None:
                self.drift.stop()

    def _round(self) -> None:
        schedule, requests = self._schedule, self._requests
        requests.hand_over(schedule)
        requests.wait(self._sleep_s())
        requests.hand_over(schedule)
        schedule.begin(self._monotonic())
        while not requests.stopping and (step := schedule.next(self._monotonic())) is not None:
            self._make(step)

    def _sleep_s(self) -> float:
        heal_at = record_at = NEVER
        if self.drift is not None:
            with self._faults.within("drift"):
                heal_at = self.drift.due_at()
        if self._recorder is not None:
            with self._faults.within("record"):
                due_s = self._recorder.due_s()
                record_at = NEVER if due_s is None else self._monotonic() + due_s
        return self._schedule.sleep_s(self._monotonic(), heal_at, record_at)

    def _make(self, step: Step) -> None:
        if isinstance(step, AnswerAsked):
            self._answer()
        elif isinstance(step, Heal):
            self._heal(step)
        elif isinstance(step, Pass):
            self._pass(step)
        elif self._recorder is not None:
            self._record(self._recorder)

    def _answer(self) -> None:
        for pods, answer in self._requests.questions():
            answer.put(self._contained("asked", pods, waited_for=True))

    def _answer_urgent(self) -> list[str]:
        """In the middle of a pass: make the passes for which the runtime waits, each over one pod. A pass over all pods takes long.

        Returns the ids of these pods. Another pass over them follows, for that one looks at nothing above them.
        """
        made, requests = list[str](), self._requests
        before = requests.waited_for
        for pods, answer in requests.urgent():
            done, requests.waited_for = None, True
            with self._faults.within("reconcile"):
                done = self._passes.run("asked", pods, above=False)
            answer.put(done)
            made += [pod.id for pod in pods]
        requests.waited_for = before
        for pod_id in made:
            self._schedule.receive(Touch(pod_id))
        return made

    def _pass(self, step: Pass) -> None:
        pods = self._ledger.pods() if step.pods is None else self._there(step.pods)
        rests = step.trigger == "sweep"
        done = self._contained(step.trigger, pods, waited_for=step.waited_for, above=step.above, rests=rests)
        now = self._monotonic()
        self._schedule.ended(step, now, self.stats.last_pass_cpu_s, well=done is not None)
        if step.trigger == "change":
            self.stats.changed_to_verified_s = now - step.since
            if done is not None:
                self._requests.served(step.serves)

    def _contained(
        self, trigger: str, pods: Iterable[Pod], *, waited_for: bool, above: bool | None = None, rests: bool = False
    ) -> list[Done] | None:
        """A pass; None if it was ended by a bug that belongs to no single pod."""
        self._requests.waited_for = waited_for
        if self.drift is not None:
            self.drift.hold(True)
        try:
            with self._faults.within("reconcile"):
                return self.reconcile(trigger, pods, above=above, rests=rests)
            return None
        finally:
            self._requests.waited_for = False
            if self.drift is not None:
                self.drift.hold(False)

    def reconcile(
        self, trigger: str, pods: Iterable[Pod], *, above: bool | None = None, rests: bool = False
    ) -> list[Done]:
        """One pass; see Passes.run."""
        done = self._passes.run(trigger, pods, above=above, rests=rests)
        self._requests.applied = self._passes.applied
        return done

    def _heal(self, step: Heal) -> None:
        try:
            lost = self.heal(step.waited_for, cover=step.cover)
        except Exception as error:  # noqa: BLE001  # the sweep finds it as well
            self._faults.caught("drift", error)
            self._passes.sweeps.start_over()
            self._schedule.heal_failed(self._monotonic())
        else:
            if lost:
                self._schedule.lost(self._monotonic())

    def heal(self, waited_for: bool = False, *, cover: bool = True) -> bool:
        """A pass over pods that the watch suspects. Returns whether events were lost, so that everything must be swept.

        waited_for   see Drift.scan
        cover        include pods with a started container that is not watched yet
        """
        if self.drift is None:
            return False
        pods, everything = set[str](), False
        if self._passes.writer is not None:
            pods, everything = self.drift.scan(self._passes.writer, waited_for)
        if cover:
            pods |= self.drift.uncovered()
        if pods:
            self._passes.run("drift", self._there(pods), above=CLASSES in pods)
            self.drift.rest(self.stats.last_pass_cpu_s)
        if everything:
            self._passes.sweeps.start_over()
        return everything

    def _record(self, recorder: Recorder) -> None:
        try:
            again, in_s = recorder.step()
            for pod_id in again:
                self._schedule.again(pod_id, self._monotonic() + in_s)
        except Exception as error:  # noqa: BLE001  # the values are written, even if they are not recorded
            self._faults.caught("record", error)
            self._schedule.record_failed(self._monotonic())

    def _there(self, ids: Iterable[str]) -> list[Pod]:
        return [pod for pod_id in ids if (pod := self._ledger.pod(pod_id)) is not None]


__all__ = ["DEBOUNCE_S", "SWEEP_S", "Done", "Failure", "Reconciler"]
