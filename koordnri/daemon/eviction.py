"""Evicts the pods that the controller chooses, or only says which: asks the API server, and reports what came of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from koordnri.control.evictor import Evictor
from koordnri.control.finding import Finding
from koordnri.control.signals import Signals
from koordnri.control.victims import Standing, Victim, is_deleted
from koordnri.daemon.events import Events
from koordnri.model import NodeState, Pod
from koordnri.model.control import NO_CONTROL, Control
from koordnri.model.log import Log
from koordnri.policy import Policy

if TYPE_CHECKING:  # see cluster_parts for why not at run time
    from koordnri.kube import EvictionAnswer
    from koordnri.kube.event import Target

LEAVING_S = 600.0
"""s for which an evicted pod counts as leaving. One that is still there then cannot be expected to end soon, and does not count."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 300.0
"""s for which a refused pod is spared, and for which nobody is asked for while the API server does not answer; doubled each time"""
STALE_S = 30.0
"""s for which a pod waits for its request at most: it was chosen by what was measured before that"""
NO_RIGHT_S = 300.0
"""s until the next attempt without the right to evict"""
OBSERVED = "observed"
"""outcome of a pod that would have been evicted under mode enforce"""
NO_API = "pods cannot be evicted: it needs the API server, give --policy-configmap or --kubeconfig"

_REFUSALS = ("budget", "refused", "replaced")
"""outcomes that concern one pod alone"""
_MOST_DOUBLED = 10

Ask = Callable[["Target"], bool]
"""queues a request to evict a pod; False: too many wait"""


@dataclass(slots=True)
class _Case:
    """A pod that was chosen."""

    victim: Victim
    chosen_s: float
    standing: Standing | None
    until_s: float
    observed: bool
    refusals: int
    awaits_answer: bool


class LastEviction(NamedTuple):
    """For `koordnri status`."""

    pod: str
    """namespace/name"""
    feature: str
    outcome: str
    reason: str


class Eviction:
    """`step` and `switched_off` are for the control thread, `answered` and `is_wanted` for any; what was counted may be read by any.

    ask         None: there is no API server
    is_spared   whether somebody wants the pod left to kubelet (`koordnri release`)
    clock       monotonic, as of the signals; asked once when this is made, which is when the daemon starts
    """

    def __init__(
        self,
        ask: Ask | None,
        is_spared: Callable[[Pod], bool],
        events: Events,
        log: Log,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._is_spared = is_spared
        self._events = events
        self._log = log
        self._clock = clock
        self._evictor = Evictor(clock())
        self._lock = threading.Lock()
        self._cases: dict[str, _Case] = {}
        """uid → pods that were chosen and are still there"""
        self._deleted_s: dict[str, float] = {}
        """uid → since when a pod that somebody has deleted was seen leaving"""
        self._paused_until_s = float("-inf")
        self._failures = 0
        self._enforced = False
        """whether pods are to be evicted now, and not only named"""
        self.counts: dict[tuple[str, str], int] = {}
        """(feature, outcome) → pods"""
        self.last: LastEviction | None = None
        self.problem = ""
        """why no pod can be evicted though the policy asks for it; "" when they can, or nobody has tried"""

    def step(
        self,
        signals: Signals,
        policy: Policy,
        node: NodeState,
        control: Control = NO_CONTROL,
        findings: Iterable[Finding] = (),
    ) -> None:
        """Choose pods by what was measured, and have them evicted, or under mode observe only report them.

        control    what is wanted of BE's CPUs
        findings   noisy neighbours that are to be evicted, where the rules allow it
        """
        controllers = policy.controllers
        mode = controllers.evict.mode
        if mode == "off" or not (policy.threshold.enable or controllers.noisy_neighbour == "evict"):
            self.switched_off()
            return
        self._enforced = mode == "enforce"
        with self._lock:  # for dictionary operations
            self._forget(signals)
            standing = self._standing(signals)
        if self._ask is None:
            self._set_problem(NO_API)
            return
        if signals.at_s < self._paused_until_s:
            return
        if self._failures:
            self._set_problem("")  # it is tried again when somebody is to be evicted
        for victim in self._evictor.step(signals, policy, control, node, standing, findings):
            self._evict(victim, signals.at_s, observe=mode == "observe")

    def switched_off(self) -> None:
        """The policy asks for no eviction any more, or its mode is another one: what was only observed does not count then."""
        self._evictor.clear()
        self._enforced = False
        self._set_problem("")
        with self._lock:
            self._cases = {uid: case for uid, case in self._cases.items() if not case.observed}

    def is_wanted(self, uid: str) -> bool:
        """Whether a pod that was asked for is still to be evicted, now that its request could be sent."""
        at_s = self._clock()
        with self._lock:
            case = self._cases.get(uid)
        if case is None or not self._enforced or at_s < self._paused_until_s:
            return False
        return at_s < case.chosen_s + STALE_S and not self._is_spared(case.victim.pod)

    def answered(self, answer: EvictionAnswer) -> None:
        """The API server has answered a request."""
        at_s, outcome = self._clock(), answer.outcome.value
        self._heed(answer, at_s)
        with self._lock:
            case = self._cases.get(answer.uid)
            if case is None:
                return
            case.awaits_answer = False
            pause_s = self._settle(case, answer, at_s)
        victim = case.victim
        self._count(victim, outcome)
        if outcome == "evicted":
            self._log.info("evicted", **_keys(victim))
            self._events.warn_pod(victim.pod, "Evicted", _text(victim))
        elif outcome in _REFUSALS:
            self._log.warning(
                "eviction_refused", outcome=outcome, error=answer.message, again_after_s=pause_s, **_keys(victim)
            )
            if outcome != "replaced":
                self._events.warn_pod(victim.pod, "EvictionRefused", f"{answer.message}; {_text(victim)}")

    # -- what is chosen -----------------------------------------------------------------------------------------------

    def _forget(self, signals: Signals) -> None:
        for uid, case in list(self._cases.items()):
            over = case.observed and signals.at_s >= case.until_s
            if over or (uid not in signals.pods and not case.awaits_answer):
                del self._cases[uid]

    def _standing(self, signals: Signals) -> dict[str, Standing]:
        found: dict[str, Standing] = {uid: "spared" for uid, one in signals.pods.items() if self._is_spared(one.pod)}
        deleted = (uid for uid, one in signals.pods.items() if is_deleted(one.pod))
        self._deleted_s = {uid: self._deleted_s.get(uid, signals.at_s) for uid in deleted}
        found |= {uid: "stuck" for uid, since_s in self._deleted_s.items() if signals.at_s >= since_s + LEAVING_S}
        for uid, case in self._cases.items():
            if case.standing == "leaving" and signals.at_s >= case.until_s:
                case.standing, case.until_s = "stuck", float("inf")
                self._log.warning("eviction_stuck", pod=_title(case.victim.pod), after_s=LEAVING_S)
            if case.standing is not None and signals.at_s < case.until_s:
                found[uid] = case.standing
        return found

    def _evict(self, victim: Victim, at_s: float, *, observe: bool) -> None:
        pod = victim.pod
        with self._lock:
            former = self._cases.get(pod.uid)
            refusals = 0 if former is None else former.refusals
            self._cases[pod.uid] = _Case(victim, at_s, "leaving", at_s + LEAVING_S, observe, refusals, not observe)
        if observe:
            self._count(victim, OBSERVED)
            self._log.info("would_evict", **_keys(victim))
            self._events.announce_pod(pod, "WouldEvict", f"{_text(victim)}; mode observe: it stays")
            return
        from koordnri.kube.event import pod_target  # there is an API server, so the room is imported already

        # Before it is asked for: who is killed before the answer has at least reported why.
        self._log.info("evicting", **_keys(victim))
        if self._ask is None or not self._ask(pod_target(pod.namespace, pod.name, pod.uid)):
            with self._lock:
                self._cases.pop(pod.uid, None)

    # -- what came of it ----------------------------------------------------------------------------------------------

    def _heed(self, answer: EvictionAnswer, at_s: float) -> None:
        """What an answer means for all pods; one that comes after eviction was switched off, nothing."""
        outcome = answer.outcome.value
        if not self._enforced or outcome == "withdrawn":
            return
        if outcome == "forbidden":
            hint = "set apiAccess.evictPods in the chart, or add deploy/eviction"
            self._pause(at_s + NO_RIGHT_S, f"pods cannot be evicted: {answer.message}: {hint}")
        elif outcome == "unreachable":
            pause_s = max(_doubled_s(self._failures), _asked_s(answer))
            self._failures = min(self._failures + 1, _MOST_DOUBLED)
            self._pause(at_s + pause_s, f"pods cannot be evicted: {answer.message}")
        else:
            self._failures = 0
            self._set_problem("")

    def _settle(self, case: _Case, answer: EvictionAnswer, at_s: float) -> float:
        """What it means for this pod. Returns for how long (s) it is left alone; others may be evicted meanwhile."""
        outcome = answer.outcome.value
        if outcome in ("forbidden", "unreachable", "withdrawn"):
            del self._cases[answer.uid]
        if outcome not in _REFUSALS:
            return 0.0
        pause_s = max(_doubled_s(case.refusals), _asked_s(answer))
        case.standing, case.until_s = "spared", at_s + pause_s
        case.refusals = min(case.refusals + 1, _MOST_DOUBLED)
        return pause_s

    def _count(self, victim: Victim, outcome: str) -> None:
        key = (victim.feature.value, outcome)
        self.counts[key] = self.counts.get(key, 0) + 1
        self.last = LastEviction(_title(victim.pod), victim.feature.value, outcome, victim.reason)

    def _pause(self, until_s: float, problem: str) -> None:
        self._paused_until_s = until_s
        self._set_problem(problem)

    def _set_problem(self, problem: str) -> None:
        """Reported once, until something else is wrong."""
        if problem and not self.problem:
            self._log.warning("eviction_impossible", problem=problem)
            self._events.warn_node("EvictionImpossible", problem)
        self.problem = problem


def _doubled_s(times: int) -> float:
    return float(min(FIRST_PAUSE_S * 2**times, LONGEST_PAUSE_S))


def _asked_s(answer: EvictionAnswer) -> float:
    """For how long the API server asks us to wait."""
    return min(answer.retry_after_s or 0.0, LONGEST_PAUSE_S)


def _title(pod: Pod) -> str:
    return f"{pod.namespace}/{pod.name}"


def _keys(victim: Victim) -> dict[str, str]:
    return {"pod": _title(victim.pod), "uid": victim.pod.uid, "feature": victim.feature.value, "reason": victim.reason}


def _text(victim: Victim) -> str:
    return f"{victim.feature.value}: {victim.reason}"
