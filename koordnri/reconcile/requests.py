"""What other threads want of the reconcile thread, and how they wait for it."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from koordnri.chain import Snapshot
from koordnri.model import Pod
from koordnri.reconcile.schedule import Ask, Change, Hurry, Input, Leave, Schedule, Touch
from koordnri.reconcile.writing import Done
from koordnri.state.ledger import Ledger

Question = tuple[list[Pod], "queue.SimpleQueue[list[Done] | None]"]
"""pods to look at, and where the answer goes; None: there is none"""


class Requests:
    """`trigger`, `hurry`, `wake` and `stop` never block, and may be called from any thread, as all else but the last section.

    unsettled   told of each change of everything, before the thread hears of it
    wake        what the thread sleeps on; whoever sets it has something to heal or to record
    """

    def __init__(
        self,
        ledger: Ledger,
        unsettled: Callable[[], None] = lambda: None,
        wake: threading.Event | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.waited_for = False
        """whether the runtime, or a person, waits for the pass that is under way"""
        self.applied: Snapshot | None = None
        """what the last pass over everything went by"""
        self._ledger = ledger
        self._unsettled = unsettled
        self._monotonic = monotonic
        self._inputs: deque[Input] = deque()
        self._wake = threading.Event() if wake is None else wake
        self._stopping = False
        self._leaving = False
        """whether the schedule has a look above the pods to come, so that nobody need be woken for one more that left"""
        self._questions: queue.SimpleQueue[Question] = queue.SimpleQueue()
        self._turn = threading.Condition()
        self._hurried = 0
        self._served = 0

    # -- any thread ---------------------------------------------------------------------------------------------------

    def trigger(self, pod_id: str | None = None) -> None:
        """Something changed: one pod, or (None) the policy or the node, and with it everything."""
        if pod_id is None:
            self._unsettled()
            self._inputs.append(Change(self._monotonic()))
        elif self._ledger.pod(pod_id) is not None:
            self._inputs.append(Touch(pod_id))
        else:
            self._inputs.append(Leave())
            if self._leaving:  # asked after it was appended: see hand_over
                return
        self._wake.set()

    def hurry(self) -> int:
        """As `trigger()`, without the debounce: somebody waits. Returns the number to give to `wait_done`."""
        self._unsettled()
        with self._turn:  # numbers arrive in their order
            self._hurried += 1
            self._inputs.append(Hurry(self._monotonic(), self._hurried))
            number = self._hurried
        self._wake.set()
        return number

    def wait_done(self, number: int, timeout_s: float) -> bool:
        """Wait until a pass that began after that `hurry` has ended. False when it takes longer."""
        with self._turn:
            return self._turn.wait_for(lambda: self._served >= number, timeout_s)

    def ask(self, pods: list[Pod], timeout_s: float) -> list[Done]:
        """Have these pods looked at now, every file of them, and wait for what comes of it.

        Raises TimeoutError when the thread does not come round in time, or is not running (any more).
        """
        answer: queue.SimpleQueue[list[Done] | None] = queue.SimpleQueue()
        self._questions.put((pods, answer))
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
        """Wait until a pod has what follows from a snapshot, if that is not so yet, at most so long."""
        if snapshot is not self.applied and timeout_s > 0:
            with contextlib.suppress(TimeoutError):
                self.ask([pod], timeout_s)

    def wake(self) -> None:
        """There is something to heal or to record."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread after the step that is under way."""
        self._stopping = True
        self._wake.set()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping

    # -- the reconcile thread -----------------------------------------------------------------------------------------

    def wait(self, timeout_s: float) -> None:
        """Until somebody wants something, or so long."""
        self._wake.wait(timeout_s)
        self._wake.clear()

    def hand_over(self, schedule: Schedule) -> None:
        """Give the schedule what has come in. To be called before each sleep as well, so that no Leave is slept over."""
        self._leaving = False
        while self._inputs:
            schedule.receive(self._inputs.popleft())
        self._leaving = schedule.above_is_late

    def questions(self) -> Iterator[Question]:
        """Those that wait for an answer."""
        while not self._questions.empty():
            yield self._questions.get()

    def served(self, number: int) -> None:
        """A pass has served all that hurried up to this one."""
        with self._turn:
            self._served = number
            self._turn.notify_all()
