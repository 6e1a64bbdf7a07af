"""Records written values in the runtime's stored spec, when that is safe.

Until then the ledger says "written, not recorded", and nothing depends on it: the runtime applies its stored spec only when a container is
updated, and then asks koordnri first. So recording waits until decisions have not changed for a while, takes a bounded share of the
runtime's time, and stops for good on a route that once took too long (push.md).
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from koordnri.model.log import Log
from koordnri.reconcile.plan import Update
from koordnri.state.ledger import Ledger

UNSOLICITED, RESYNC, REPLY, NONE = "unsolicited", "resync", "reply", "none"
AUTO = "auto"
ROUTES = (AUTO, UNSOLICITED, RESYNC, REPLY, NONE)
"""values of `--record-route`; auto depends on the runtime's NRI version"""

REST_S = 0.5
"""Recording begins when no decision has changed for so many s: a policy that changes often is written each time, but recorded once."""
CALL_S = 0.1
"""Most of the runtime's time that one push may take, in s."""
REPLY_S = 0.05
"""The same for additional updates in an event's reply, since somebody waits for it."""
DEADLINE_S = 5.0
"""A push that takes longer (s) turns its route off for the life of the process: it does not work on this runtime."""
FIRST_COST_S = 0.009
"""Assumed cost (s) of updating one container in the runtime, until it is measured (push.md: `runc update`)."""
MOST = 64
"""most updates in one push"""
HANDFUL = 5
ATTEMPTS = 3
BACKOFF_S = 1.0
REPLIED_S = 0.25
"""s within which the runtime applies updates of a reply; then their files are checked."""


class Overran(Exception):
    """The push did not end within its deadline. Its effect is unknown."""


class PushFailed(Exception):
    """The push failed; the message says why. Which of its updates failed is unknown."""


class RuntimeAway(PushFailed):
    """Nothing was sent, because there is no connection to the runtime. That says nothing about the updates."""


Push = Callable[[Sequence[Update], float], set[str]]
"""(updates, deadline in s) → ids of containers whose update the runtime refused. Raises Overran, PushFailed and RuntimeAway."""


class RecordStats:
    """Counters for `observe`."""

    def __init__(self) -> None:
        self.pushes: Counter[tuple[str, str]] = Counter()
        """(route, outcome) → containers; outcome is recorded, refused, failed or late"""
        self.off: set[str] = set()
        """routes that were turned off"""
        self.cost_s = FIRST_COST_S
        """measured cost (s) of updating one container in the runtime"""


class Recorder:
    """The reconcile thread calls everything, except `for_reply` and `replied` (the event path) and `unsettle` (any thread).

    pushes     route → function that pushes; a route without one is not available
    preferred  the configured route, or the one for this runtime; called before each push
    save       saves the ledger's notes
    on_off     called when a route was turned off: its name, and why
    wake       wakes the reconcile thread after something was sent in a reply
    """

    def __init__(
        self,
        ledger: Ledger,
        pushes: Mapping[str, Push],
        preferred: Callable[[], str],
        save: Callable[[], None],
        on_off: Callable[[str, str], None],
        log: Log,
        wake: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stats = RecordStats()
        self._ledger = ledger
        self._pushes = pushes
        self._preferred = preferred
        self._save = save
        self._on_off = on_off
        self._log = log
        self._wake = wake
        self._monotonic = monotonic
        self._pending: dict[str, Update] = {}
        self._refused: dict[str, tuple[Update, int]] = {}
        """container → (update that the runtime refused, how often)"""
        self._alone: set[str] = set()
        """containers to be pushed alone, because a push of several failed"""
        self._not_before = 0.0
        self._ready: deque[Update] = deque()
        """a few updates that the next replies may carry"""
        self._replied: deque[Update] = deque()

    @property
    def unrecorded(self) -> int:
        """Number of containers whose stored spec differs from their files."""
        return len(self._pending)

    def given_up(self) -> list[Update]:
        """Updates that the runtime has refused too often. Any thread may ask."""
        return [update for update in list(self._pending.values()) if not self._may_go(update)]

    @property
    def route(self) -> str:
        """The present route."""
        route = self._preferred()
        if route in self._pushes and route not in self.stats.off:
            return route
        return NONE if route == NONE else REPLY

    # -- the reconcile thread -----------------------------------------------------------------------------------------

    def plan(self, looked_at: Iterable[str], updates: Mapping[str, Update]) -> None:
        """Result of the last pass: of the containers that it checked, these have values to record."""
        moved = False
        for container_id in looked_at:
            new, old = updates.get(container_id), self._pending.get(container_id)
            if new is None:
                self._pending.pop(container_id, None)
                self._refused.pop(container_id, None)
                self._alone.discard(container_id)
            elif old is None or old.values != new.values:
                self._pending[container_id] = new
                moved = True
        if moved:
            self._ready.clear()
            self._not_before = self._monotonic() + REST_S

    def due_s(self) -> float | None:
        """Seconds until `step` has something to do; None when there is nothing."""
        if self._replied:
            return 0.0
        if not self._pending or (route := self.route) == NONE or (route == REPLY and self._ready):
            return None
        if not any(self._may_go(u) for u in self._pending.values()):
            return None
        return max(self._not_before - self._monotonic(), 0.0)

    def step(self) -> tuple[set[str], float]:
        """Push some updates. Returns the pods whose files must be checked again, and in how many seconds."""
        if self._replied:
            return self._take_replied(), REPLIED_S
        if (due := self.due_s()) is None or due > 0:
            return set(), 0.0
        batch = self._batch()
        if not batch:
            return set(), 0.0
        for update in batch:
            self._ledger.sending(update.container_id, update.values)
        self._save()
        if (route := self.route) == REPLY:
            self._ready.extend(batch)
            return set(), 0.0
        self._push(route, batch)
        return {update.pod_id for update in batch}, 0.0

    def _batch(self) -> list[Update]:
        for gone in [i for i in self._pending if self._ledger.container(i) is None]:
            del self._pending[gone]
        waiting = [u for u in self._pending.values() if self._may_go(u)]
        if self.route == REPLY:
            return waiting[: self._share(REPLY_S, HANDFUL)]
        alone = [u for u in waiting if u.container_id in self._alone]
        return alone[:1] or waiting[: self._share(CALL_S, MOST)]

    def _may_go(self, update: Update) -> bool:
        refused, times = self._refused.get(update.container_id, (update, 0))
        return times < ATTEMPTS or refused.values != update.values

    def _share(self, time_s: float, most: int) -> int:
        return max(1, min(int(time_s / self.stats.cost_s), most))

    def _push(self, route: str, batch: list[Update]) -> None:
        started, counts = self._monotonic(), self.stats.pushes
        try:
            refused = self._pushes[route](batch, DEADLINE_S)
        except Overran as error:
            counts[route, "late"] += len(batch)
            self.stats.off.add(route)
            self._on_off(route, str(error))
            return
        except RuntimeAway:
            self._not_before = self._monotonic() + BACKOFF_S
            return
        except PushFailed as error:
            counts[route, "failed"] += len(batch)
            self._log.info("push_failed", route=route, containers=len(batch), error=str(error))
            if len(batch) > 1:
                self._alone |= {u.container_id for u in batch}
            else:
                self._refuse(batch[0])
            self._not_before = self._monotonic() + (BACKOFF_S if len(batch) == 1 else self._monotonic() - started)
            return
        took = self._monotonic() - started
        self.stats.cost_s = max((3 * self.stats.cost_s + took / len(batch)) / 4, 1e-4)
        for update in batch:
            self._alone.discard(update.container_id)
            if update.container_id in refused:
                counts[route, "refused"] += 1
                self._refuse(update)
            else:
                counts[route, "recorded"] += 1
                self._done(update)
        # Leave the runtime as much time for others as this push took.
        self._not_before = self._monotonic() + (max(took, BACKOFF_S) if refused else took)

    def _refuse(self, update: Update) -> None:
        before, times = self._refused.get(update.container_id, (update, 0))
        times = times + 1 if before.values == update.values else 1
        self._refused[update.container_id] = (update, times)
        if times == ATTEMPTS:
            self._log.warning("record_given_up", container=update.container_id, fields=sorted(update.values))

    def _done(self, update: Update) -> None:
        self._refused.pop(update.container_id, None)
        if self._pending.get(update.container_id) is update:
            del self._pending[update.container_id]
        self._ledger.recorded(update.container_id, update.values)

    def _take_replied(self) -> set[str]:
        pods = set()
        while self._replied:
            update = self._replied.popleft()
            self.stats.pushes[REPLY, "recorded"] += 1
            self._done(update)
            pods.add(update.pod_id)
        self._not_before = self._monotonic() + REPLY_S
        return pods

    # -- any thread ---------------------------------------------------------------------------------------------------

    def unsettle(self) -> None:
        """All decisions may change soon: updates that are not on their way wait until decisions are at rest again. Call `plan` before
        the next `step`.
        """
        self._ready.clear()
        self._not_before = self._monotonic() + REST_S

    # -- the event path -----------------------------------------------------------------------------------------------

    def for_reply(self, container_id: str) -> list[Update]:
        """Updates of other containers that the reply to an event of `container_id` may carry; usually none."""
        if not self._ready:
            return []
        taken = []
        while self._ready:
            try:
                update = self._ready.popleft()
            except IndexError:  # the reconcile thread took the last one
                break
            if update.container_id != container_id and self._pending.get(update.container_id) is update:
                taken.append(update)
        return taken

    def replied(self, updates: Iterable[Update]) -> None:
        """The reply that carries these updates was sent."""
        self._replied.extend(updates)
        self._wake()
