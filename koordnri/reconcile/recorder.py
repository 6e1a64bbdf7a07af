"""The patient second step: what was written into files is brought into the runtime's stored spec, when that is safe.

Until then the ledger says "written, not recorded", and nothing depends on it: the runtime re-applies its spec only when a container
is updated, and then we are asked first. So recording waits until the decisions have come to rest, takes a bounded share of the
runtime's time, and stops for good where it once took too long (push.md).
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
"""what `--record-route` takes; auto is what suits the runtime's NRI version"""

REST_S = 0.5
"""Recording begins when no decision has changed for so long: a policy that flips is written each time, and recorded once."""
CALL_S = 0.1
"""How much of the runtime's time one push may take."""
REPLY_S = 0.05
"""The same for updates that an event's reply carries besides its own: somebody waits for that."""
DEADLINE_S = 5.0
"""A push that takes longer turns its route off for the life of the process: something is wrong with it on this runtime."""
FIRST_COST_S = 0.009
"""What an update of one container costs a runtime, until it is learned (push.md: `runc update`)."""
MOST = 64
"""updates in one push"""
HANDFUL = 5
ATTEMPTS = 3
BACKOFF_S = 1.0
REPLIED_S = 0.25
"""After a reply that carried updates, the runtime needs this long at most to apply them; then their files are looked at."""


class Overran(Exception):
    """The push did not end within its deadline; what became of it is not known."""


class Failed(Exception):
    """The push failed; the message says why. Which of its updates failed is not known."""


Push = Callable[[Sequence[Update], float], set[str]]
"""(updates, deadline in s) → ids of containers whose update the runtime refused. Raises Overran and Failed."""


class Stats:
    """Plain numbers for `observe`."""

    def __init__(self) -> None:
        self.pushes: Counter[tuple[str, str]] = Counter()
        """(route, outcome) → containers; outcome is recorded, refused, failed or late"""
        self.off: set[str] = set()
        """routes that were turned off"""
        self.cost_s = FIRST_COST_S
        """what an update of one container costs the runtime, as learned"""


class Recorder:
    """Everything is called from the reconcile thread, but for `for_reply` and `replied`, which are the event path's, and `unsettle`.

    pushes     route → how to push there; a route without one is not to be had
    preferred  the route that is asked for, or that suits the runtime; asked before each push
    save       puts the ledger's notes on disk
    on_off     a route was turned off: its name, and why
    wake       the reconcile thread is to come round: something was sent in a reply
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
        self.stats = Stats()
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
        """container → what the runtime refused, and how often"""
        self._alone: set[str] = set()
        """containers to be pushed one at a time, since a push of several failed"""
        self._not_before = 0.0
        self._ready: deque[Update] = deque()
        """a handful that the next replies may carry"""
        self._replied: deque[Update] = deque()

    @property
    def unrecorded(self) -> int:
        """Containers whose stored spec does not agree with what their files have."""
        return len(self._pending)

    @property
    def route(self) -> str:
        """The route that is taken now."""
        route = self._preferred()
        if route in self._pushes and route not in self.stats.off:
            return route
        return NONE if route == NONE else REPLY

    # -- the reconcile thread -----------------------------------------------------------------------------------------

    def plan(self, looked_at: Iterable[str], updates: Mapping[str, Update]) -> None:
        """What the last pass found: of the containers that it looked at, these have something to be recorded."""
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
        """Seconds until `step` has something to do; None when it has nothing."""
        if self._replied:
            return 0.0
        if not self._pending or (route := self.route) == NONE or (route == REPLY and self._ready):
            return None
        if not any(self._may_go(u) for u in self._pending.values()):
            return None
        return max(self._not_before - self._monotonic(), 0.0)

    def step(self) -> tuple[set[str], float]:
        """Push some. Returns the pods whose files are to be looked at again, and in how many seconds."""
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
        except Failed as error:
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
        # As much time for others as we took.
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
        """All decisions may soon be others: what is not on its way yet waits until they have been at rest again. Not to be followed by
        `step` before `plan`.
        """
        self._ready.clear()
        self._not_before = self._monotonic() + REST_S

    # -- the event path -----------------------------------------------------------------------------------------------

    def for_reply(self, container_id: str) -> list[Update]:
        """Updates of other containers that the reply to an event of `container_id` may carry. Most often none."""
        if not self._ready:
            return []
        taken = []
        while self._ready:
            try:
                update = self._ready.popleft()
            except IndexError:  # the reconcile thread was faster
                break
            if update.container_id != container_id and self._pending.get(update.container_id) is update:
                taken.append(update)
        return taken

    def replied(self, updates: Iterable[Update]) -> None:
        """The reply that carries them is out."""
        self._replied.extend(updates)
        self._wake()
