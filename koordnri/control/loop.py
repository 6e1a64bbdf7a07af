"""The thread `control`: measures once per second, asks the controllers that are on, and publishes what they want.

While the policy switches no controller on, it sleeps and reads nothing. What a controller wanted is given back when it is switched off, and
by `run` before it returns.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_

from koordnri.control.actuations import actuations, reason, summary
from koordnri.control.around import Around
from koordnri.control.kinds import Kind, Step
from koordnri.control.sampler import Demand, Sampler
from koordnri.control.signals import Signals
from koordnri.model.control import NO_CONTROL, Control
from koordnri.model.log import Log
from koordnri.policy import Policy
from koordnri.policy.controllers import ControllerMode
from koordnri.state.containment import Faults
from koordnri.state.ledger import Ledger
from koordnri.state.world import World

TICK_S = 1.0
IDLE_S = 10.0
"""While no controller is on: s between two checks whether a pod asks for one by an annotation. A policy is noticed at once."""
LOG_S = 10.0
"""Least s between two log lines about one controller; what it did in between is counted in the next."""


class ControlStats:
    """Counters for `observe`. The control thread writes them."""

    def __init__(self) -> None:
        self.ticks = 0
        self.tick_s = 0.0
        """duration of all ticks"""
        self.actuations: Counter[tuple[str, str, str]] = Counter()
        """(controller, mode, direction) → values that moved; mode observe: that would have"""


@dataclass(slots=True)
class _Running:
    """A controller that is on."""

    kind: Kind
    mode: ControllerMode
    step: Step
    wants: Control = NO_CONTROL
    logged_s: float = float("-inf")
    since_logged: Counter[str] | None = None


class ControlLoop:
    """`run` blocks until `stop`. Everything else may be called by any thread.

    world         the present policy and node
    publish       called with what all controllers want, when that is another than before
    ready         whether it is known what runs; before that nothing is measured
    kinds         the controllers, in the order in which they are asked
    around        what others know of the node
    """

    def __init__(
        self,
        sampler: Sampler,
        ledger: Ledger,
        world: Callable[[], World],
        publish: Callable[[Control], None],
        kinds: Sequence[Kind],
        faults: Faults,
        log: Log,
        *,
        ready: Callable[[], bool] = lambda: True,
        around: Callable[[], Around] = Around,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stats = ControlStats()
        self.latest: Signals | None = None
        """what was measured last; None while no controller is on"""
        self._sampler = sampler
        self._ledger = ledger
        self._world = world
        self._publish = publish
        self._faults = faults
        self._log = log
        self._ready = ready
        self._around = around
        self._kinds = kinds
        self._monotonic = monotonic
        self._running: dict[str, _Running] = {}
        self._published = NO_CONTROL
        self._policy: Policy | None = None
        """the policy that was noticed last"""
        self._wake = threading.Event()
        self._stopping = False

    @property
    def modes(self) -> Mapping[str, ControllerMode]:
        """Name of each controller that is on → its mode."""
        return {name: one.mode for name, one in list(self._running.items())}

    def noticed(self, policy: Policy) -> None:
        """A policy is in force, perhaps another than before."""
        if policy is not self._policy:
            self._policy = policy
            self._wake.set()

    def stop(self) -> None:
        """Let `run` give back what is wanted, and return."""
        self._stopping = True
        self._wake.set()

    def run(self) -> None:
        """Tick after tick."""
        next_s = self._monotonic()
        while not self._stopping:
            with self._faults.within("control"):
                self.tick()
            now_s = self._monotonic()
            ticks = self._running or not self._ready()
            # Ticks keep their rhythm; the first one after an idle time begins it.
            next_s = max(min(next_s, now_s) + TICK_S, now_s) if ticks else now_s + IDLE_S
            self._sleep(next_s)
        self._switch({})
        self._merge()

    def _sleep(self, until_s: float) -> None:
        """Until then, or until there is a reason to look at once. Ticks keep their distance: rates over milliseconds would mean nothing."""
        while not self._stopping and (left_s := until_s - self._monotonic()) > 0:
            woken = self._wake.wait(left_s)
            self._wake.clear()
            if woken and not self._running:
                return

    # -- one tick -----------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Measure and ask the controllers that are on; without any, nothing is read."""
        started_s, world, pods = self._monotonic(), self._world(), self._ledger.pods()
        policy = world.snapshot.policy
        modes = {kind.name: kind.mode(policy, pods) for kind in self._kinds} if self._ready() else {}
        self._switch(modes)
        if not self._running:
            self._sampler.close()
            self.latest = None
        else:
            demand = reduce(or_, (one.kind.demand for one in self._running.values()), Demand())
            self.latest = signals = self._sampler.sample(started_s, demand, world, self._around())
            for one in list(self._running.values()):
                self._step(one, signals, world)
            self.stats.ticks += 1
        self._merge()
        if self._running:
            self.stats.tick_s += self._monotonic() - started_s

    def _switch(self, modes: Mapping[str, ControllerMode]) -> None:
        """Switch controllers on and off. One whose mode changes begins again: what it wanted in the other mode was not the same."""
        before, self._running = self._running, {}
        for kind in self._kinds:
            mode, known = modes.get(kind.name, "off"), before.get(kind.name)
            if mode != "off":
                same = known is not None and known.mode == mode
                self._running[kind.name] = known if same and known is not None else _Running(kind, mode, kind.make())
            if known is not None and self._running.get(kind.name) is not known:
                self._acted(known, NO_CONTROL)
                known.kind.end()
            if (mode != "off") != (known is not None):
                self._log.info("controller_switched", controller=kind.name, mode=mode)

    def _step(self, one: _Running, signals: Signals, world: World) -> None:
        policy, node = world.snapshot
        try:
            wants = one.step(signals, policy, node, self._wanted())
        except Exception as error:  # noqa: BLE001  # a bug costs this controller's wishes, and it begins again
            self._faults.caught("control", error)
            one.step, wants = one.kind.make(), NO_CONTROL
        self._acted(one, wants)

    def _acted(self, one: _Running, wants: Control) -> None:
        """Count, and log, what another wish of a controller changes."""
        found, one.wants = actuations(one.wants, wants), wants
        for direction, count in found.items():
            self.stats.actuations[one.kind.name, one.mode, direction] += count
        one.since_logged = (one.since_logged or Counter()) + Counter({str(k): n for k, n in found.items()})
        now_s = self._monotonic()
        if one.since_logged and now_s >= one.logged_s + LOG_S:
            counts, one.since_logged, one.logged_s = dict(one.since_logged), None, now_s
            event = "controller_acted" if one.mode == "enforce" else "controller_would_act"
            self._log.info(event, controller=one.kind.name, reason=reason(wants), **counts, **summary(wants))

    # -- what all of them want ----------------------------------------------------------------------------------------

    def _wanted(self) -> Control:
        wanted = NO_CONTROL
        for one in self._running.values():
            if one.mode == "enforce":
                wanted = _join(wanted, one.wants)
        return wanted

    def _merge(self) -> None:
        wanted = self._wanted()
        if wanted != self._published:
            self._published = wanted
            self._publish(wanted)


def _join(one: Control, other: Control) -> Control:
    """Both. Each part of Control is wanted by one controller alone."""
    parts = {name: value for name in other.__slots__ if (value := getattr(other, name)) not in (None, {})}
    return replace(one, **parts) if parts else one
