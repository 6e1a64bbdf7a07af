"""When the reconcile thread does what: a machine without a thread, a clock or I/O.

All times are monotonic seconds, passed in by the caller. Inputs are requests (`receive`) and the results of steps (`ended`, `again`, …).
Outputs are the steps of a round (`begin`, then `next` until None), and how long to sleep after it (`sleep_s`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

DEBOUNCE_S = 0.1
"""Edits of a policy within this time (s) cause one pass."""
ABOVE_S = 0.25
"""Least s between two checks of the cgroups above the pods and of resctrl groups, while pods come and go."""
RESTS = 7
"""After a full pass, the next one that nobody waits for rests this many times its CPU time: caps reconciling at an eighth of a core. With
500 containers a pass takes 0.11 s, so policies that change each second do not wait. Not its duration: beside load, which is where a policy
must get through, that is many times longer."""
SWEEP_S = 10.0
"""Seconds from the end of a sweep to the next."""
COVER_S = 1.0
"""s within which a started container is watched; usually sooner, by the pass that its start causes."""
FAULT_RESTS_S = 10.0
"""s for which a part of the work rests after a bug in it; otherwise it would be retried at once, for ever."""

NEVER = float("inf")
LONG_AGO = float("-inf")

# The rules. A round makes the steps that are due, in this order. Then the thread sleeps until one is due, or until it is woken.
#
#   step             is due when                                          and then
#   Pass("control")  controllers want something else                      -
#   AnswerAsked      somebody asked                                       a change is debounced no longer
#   Heal             every round; not while it rests after a bug          events were lost: the sweep is due at once
#   Pass("change")   a change is pending, its rest and debounce are       the next one rests 7 times the CPU time of this one
#                    over, or somebody waits for it
#   Pass("pod")      pods were triggered, or it is time to try some       a pass over everything in this round has them all
#                    again
#   Pass("pod", {})  the look above the pods was put off, and the last    -
#                    one is 0.25 s ago
#   Pass("sweep")    the last one ended 10 s ago                          -
#   Record           every round without a pending change; not while      -
#                    it rests after a bug
#
# While a change is debounced, only AnswerAsked is due: the pass that follows looks at everything.


class EverythingChanged(NamedTuple):
    """Input: the policy or the node changed, so everything may change."""

    at: float


class Hurry(NamedTuple):
    """Input: as EverythingChanged, but somebody waits for the pass. Numbers increase."""

    at: float
    number: int


class Touch(NamedTuple):
    """Input: check one pod."""

    pod_id: str


class Leave(NamedTuple):
    """Input: a pod has gone; only the cgroups above it need a check."""


class Controlled(NamedTuple):
    """Input: feedback controllers want something else of some pods."""

    pods: frozenset[str]
    above: bool
    """whether also of the cgroups above the pods"""


class Ask(NamedTuple):
    """Input: somebody waits for an answer."""


Input = EverythingChanged | Hurry | Touch | Leave | Controlled | Ask


class AnswerAsked(NamedTuple):
    """Step: answer all questions."""


class Heal(NamedTuple):
    """Step: heal files that somebody else has written."""

    waited_for: bool
    """whether somebody waits for a pass: then do not rest"""
    cover: bool
    """whether to check for started containers that are not watched yet"""


class Pass(NamedTuple):
    """Step: a pass over some pods."""

    trigger: str
    """change, control, pod or sweep"""
    pods: frozenset[str] | None = None
    """ids; None: all"""
    since: float = LONG_AGO
    """for a change: when the first input that it serves came"""
    waited_for: bool = False
    serves: int = 0
    """for a change: the last Hurry that it serves"""
    above: bool | None = None
    """whether to include the cgroups above the pods; None: depends on the trigger"""


class Record(NamedTuple):
    """Step: record some written values."""


Step = AnswerAsked | Heal | Pass | Record


class Schedule:
    """Used by one thread.

    heals, records   whether healing and recording are available
    """

    def __init__(self, now: float, *, heals: bool = True, records: bool = True, debounce_s: float = DEBOUNCE_S) -> None:
        self._heals = heals
        self._records = records
        self._debounce_s = debounce_s
        self._left: Iterator[Callable[[float], Step | None]] = iter(())
        """rules that this round has yet to check"""
        self._asked = False
        self._rush = False
        """whether to skip the debounce"""
        self._changed_at = NEVER
        """when the first EverythingChanged came that no pass has served yet"""
        self._rests_until = LONG_AGO
        self._hurried = 0
        self._served = 0
        """last Hurry served by a pass"""
        self._pods: set[str] = set()
        self._controlled: Controlled | None = None
        """what no pass has served yet"""
        self._later: list[tuple[float, str]] = []
        """(when to check, id of a pod)"""
        self._above_at = LONG_AGO
        """when the cgroups above the pods were last checked"""
        self.above_is_late = False
        """whether a check above the pods was postponed"""
        self._sweep_at = now + SWEEP_S
        self._cover_at = LONG_AGO
        self._heal_after = LONG_AGO
        self._record_after = LONG_AGO

    # -- in -----------------------------------------------------------------------------------------------------------

    def receive(self, it: Input) -> None:
        """Take an input. Its effect is in a later step."""
        if isinstance(it, Touch):
            self._pods.add(it.pod_id)
        elif isinstance(it, Leave):
            self.above_is_late = True
        elif isinstance(it, Controlled):
            before = self._controlled or Controlled(frozenset(), above=False)
            self._controlled = Controlled(before.pods | it.pods, before.above or it.above)
        elif isinstance(it, Ask):
            self._asked = self._rush = True
        else:
            self._changed_at = min(self._changed_at, it.at)
            if isinstance(it, Hurry):
                self._hurried, self._rush = it.number, True

    def again(self, pod_id: str, at: float) -> None:
        """Check this pod once more at that time."""
        self._later.append((at, pod_id))

    def looks_above(self, now: float, *, must: bool) -> bool:
        """A pass begins: whether it includes the cgroups above the pods. If not, a later one will."""
        if not must and now < self._above_at + ABOVE_S:
            self.above_is_late = True
            return False
        self._above_at, self.above_is_late = now, False
        return True

    def lost(self, now: float) -> None:
        """Events were lost: somebody may have written files unnoticed, so sweep everything."""
        self._sweep_at = now

    def ended(self, step: Pass, now: float, cpu_s: float, *, well: bool) -> None:
        """A pass has ended.

        cpu_s  CPU time that it used
        well   whether it did what it serves; False if a bug ended it
        """
        if step.trigger == "change":
            self._rests_until = now + RESTS * cpu_s
            if well:
                self._served = step.serves
        elif step.trigger == "sweep":
            self._sweep_at = now + SWEEP_S

    def heal_failed(self, now: float) -> None:
        """A bug in healing: it rests, and meanwhile sweeps find lost values."""
        self._heal_after = now + FAULT_RESTS_S
        self.lost(now)

    def record_failed(self, now: float) -> None:
        """A bug in recording: it rests."""
        self._record_after = now + FAULT_RESTS_S

    @property
    def change_is_pending(self) -> bool:
        """Whether a change has come that no pass has served yet."""
        return self._changed_at != NEVER

    # -- out ----------------------------------------------------------------------------------------------------------

    def begin(self, now: float) -> None:
        """A round begins with the inputs received so far: the thread has slept, or was woken."""
        rules = (self._control, self._answer, self._heal, self._work, self._above, self._sweep, self._record)
        self._left = iter(() if self._debounces(now) else rules)

    def next(self, now: float) -> Step | None:
        """The next step of this round; None when it has ended."""
        for rule in self._left:
            if (step := rule(now)) is not None:
                return step
        return None

    def sleep_s(self, now: float, heal_at: float = NEVER, record_at: float = NEVER) -> float:
        """How long (s) the thread may sleep after a round; 0 when an input arrived meanwhile.

        heal_at, record_at   when there is something to heal or to record
        """
        if self._debounces(now):
            return self._debounced_at() - now
        if self._asked or self._pods or self._controlled is not None:
            return 0.0
        times = [self._change_at(), self._sweep_at, *(at for at, _ in self._later)]
        if self.above_is_late:
            times.append(self._above_at + ABOVE_S)
        if self._heals:
            times.append(max(min(heal_at, self._cover_at), self._heal_after))
        if self._records and self._changed_at == NEVER:
            times.append(max(record_at, self._record_after))
        return max(min(times) - now, 0.0)

    # -- the rules ----------------------------------------------------------------------------------------------------

    def _answer(self, now: float) -> AnswerAsked | None:
        asked, self._asked = self._asked, False
        return AnswerAsked() if asked else None

    def _control(self, now: float) -> Pass | None:
        wanted, self._controlled = self._controlled, None
        return None if wanted is None else Pass("control", wanted.pods, above=wanted.above)

    def _heal(self, now: float) -> Heal | None:
        if not self._heals or now < self._heal_after:
            return None
        cover = now >= self._cover_at and now < self._change_at()  # a pass over everything covers all containers itself
        if cover:
            self._cover_at = now + COVER_S
        return Heal(self._is_waited_for(), cover)

    def _work(self, now: float) -> Pass | None:
        """A pass over everything, or else over pods whose time has come."""
        due = {pod_id for at, pod_id in self._later if at <= now}
        self._later = [(at, pod_id) for at, pod_id in self._later if at > now]
        pods, self._pods = frozenset(self._pods | due), set()
        is_due, self._rush = self._change_at() <= now, False
        if is_due:
            since, self._changed_at = self._changed_at, NEVER
            return Pass("change", since=since, waited_for=self._is_waited_for(), serves=self._hurried)
        return Pass("pod", pods) if pods else None

    def _above(self, now: float) -> Pass | None:
        return Pass("pod", frozenset()) if self.above_is_late and now >= self._above_at + ABOVE_S else None

    def _sweep(self, now: float) -> Pass | None:
        return Pass("sweep") if now >= self._sweep_at else None

    def _record(self, now: float) -> Record | None:
        due = self._records and self._changed_at == NEVER and now >= self._record_after
        return Record() if due else None

    # -- when a change is served --------------------------------------------------------------------------------------

    def _is_waited_for(self) -> bool:
        return self._hurried != self._served

    def _change_at(self) -> float:
        return self._rested_at() if self._rush else self._debounced_at()

    def _rested_at(self) -> float:
        return self._changed_at if self._is_waited_for() else max(self._changed_at, self._rests_until)

    def _debounced_at(self) -> float:
        """A change that came during a rest was debounced meanwhile."""
        return max(self._rested_at(), self._changed_at + self._debounce_s)

    def _debounces(self, now: float) -> bool:
        return not self._rush and self._rested_at() <= now < self._debounced_at()
