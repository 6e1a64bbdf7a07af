"""Requests of other threads to the reconcile thread, and their ways of waiting for it."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from koordnri.chain import Snapshot
from koordnri.model import Pod
from koordnri.reconcile.schedule import (
    Ask,
    Controlled,
    EverythingChanged,
    Hurry,
    Input,
    Leave,
    Schedule,
    Touch,
)
from koordnri.reconcile.writing import Done
from koordnri.state.ledger import Ledger

Question = tuple[list[Pod], "queue.SimpleQueue[list[Done] | None]"]
"""pods to check, and the queue for the answer; None: there is no answer"""


class Requests:
    """Any thread may call everything but the last section. `trigger`, `hurry`, `wake` and `stop` never block.

    unsettled   called at each change of everything, before the thread learns of it
    wake        the event on which the thread sleeps; set it when there is something to heal or record
    """

    def __init__(
        self,
        ledger: Ledger,
        unsettled: Callable[[], None] = lambda: None,
        wake: threading.Event | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.waited_for = False
        """whether the runtime or a person waits for the present pass"""
        self.applied: Snapshot | None = None
        """snapshot of the last full pass"""
        self._ledger = ledger
        self._unsettled = unsettled
        self._monotonic = monotonic
        self._inputs: deque[Input] = deque()
        self._wake = threading.Event() if wake is None else wake
        self._stopping = False
        self._changing = False
        """whether a pass over everything is already scheduled, so that one more change need not wake the thread"""
        self._leaving = False
        """the same for a check above the pods, and a leaving pod"""
        self._questions: queue.SimpleQueue[Question] = queue.SimpleQueue()
        self._urgent: queue.SimpleQueue[Question] = queue.SimpleQueue()
        """those for which the runtime waits"""
        self._turn = threading.Condition()
        self._hurried = 0
        self._served = 0

    # -- any thread ---------------------------------------------------------------------------------------------------

    def trigger(self, pod_id: str | None = None) -> None:
        """One pod has changed, or (None) the policy or the node, and so everything."""
        if pod_id is None:
            self._unsettled()
            self._inputs.append(EverythingChanged(self._monotonic()))
            if self._changing:  # asked after it was appended: see hand_over
                return
        elif self._ledger.pod(pod_id) is not None:
            self._inputs.append(Touch(pod_id))
        else:
            self._inputs.append(Leave())
            if self._leaving:
                return
        self._wake.set()

    def control(self, pods: frozenset[str], *, above: bool) -> None:
        """Feedback controllers want something else of these pods, and (`above`) of the cgroups above the pods."""
        self._inputs.append(Controlled(pods, above))
        self._wake.set()

    def hurry(self) -> int:
        """As `trigger()`, but without the debounce, since somebody waits. Returns the number for `wait_done`."""
        self._unsettled()
        with self._turn:  # numbers arrive in their order
            self._hurried += 1
            self._inputs.append(Hurry(self._monotonic(), self._hurried))
            number = self._hurried
        self._wake.set()
        return number

    def wait_done(self, number: int, timeout_s: float) -> bool:
        """Wait for the end of a pass that began after that `hurry`. False on timeout."""
        with self._turn:
            return self._turn.wait_for(lambda: self._served >= number, timeout_s)

    def ask(self, pods: list[Pod], timeout_s: float) -> list[Done]:
        """Have every file of these pods checked now, and wait for the outcomes.

        Raises TimeoutError when the thread does not answer in time, or is not running (any more).
        """
        return self._ask(pods, timeout_s, self._questions)

    def _ask(self, pods: list[Pod], timeout_s: float, questions: queue.SimpleQueue[Question]) -> list[Done]:
        answer: queue.SimpleQueue[list[Done] | None] = queue.SimpleQueue()
        questions.put((pods, answer))
        self._inputs.append(Ask())
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

    def catch_up(self, pod: Pod, snapshot: Snapshot, timeout_s: float) -> None:
        """Wait, no longer than `timeout_s`, until a pod's files follow a snapshot. A pass that runs now does not keep it waiting."""
        if snapshot is not self.applied and timeout_s > 0:
            with contextlib.suppress(TimeoutError):
                self._ask([pod], timeout_s, self._urgent)

    def wake(self) -> None:
        """There is something to heal or to record."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread after the present step."""
        self._stopping = True
        self._wake.set()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping

    # -- the reconcile thread -----------------------------------------------------------------------------------------

    def wait(self, timeout_s: float) -> None:
        """Wait for a request, no longer than `timeout_s`."""
        self._wake.wait(timeout_s)
        self._wake.clear()

    def hand_over(self, schedule: Schedule) -> None:
        """Pass new requests to the schedule. Also call this before each sleep, so that no input waits until after it."""
        self._changing = self._leaving = False
        while self._inputs:
            schedule.receive(self._inputs.popleft())
        self._changing, self._leaving = schedule.change_is_pending, schedule.above_is_late

    def urgent(self) -> Iterator[Question]:
        """Questions for whose answer the runtime waits."""
        while not self._urgent.empty():
            yield self._urgent.get()

    def questions(self) -> Iterator[Question]:
        """All questions that wait for an answer."""
        yield from self.urgent()
        while not self._questions.empty():
            yield self._questions.get()

    def served(self, number: int) -> None:
        """A pass has served all hurries up to this number."""
        with self._turn:
            self._served = number
            self._turn.notify_all()
