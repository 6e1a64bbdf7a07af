"""The daemon's life: what starts when, what happens every second, how it ends. `wiring` builds its parts."""

from __future__ import annotations

import sys
import threading
import time

from koordnri.daemon.config import Config
from koordnri.daemon.confinement import NOT_CONFINED
from koordnri.daemon.garbage import GarbageCollector
from koordnri.daemon.listeners import Listeners
from koordnri.daemon.wiring import Given, Parts

POLICY_TICK_S = 0.1
"""Seconds between checks of the policy file if inotify does not report changes: whoever edits it waits no longer."""
NODE_TICK_S = 1.0
"""Seconds between reads of the node's state."""
FULL_REFRESH_TICKS = 10
"""At every so many ticks the whole node is read; in between only facts that can make a decision harmful (resctrl groups, CPUs)."""
HISTORY_TICKS = 10
"""At every so many ticks the history is written even while the runtime is busy. Its lines, 40 µs for a container, delay events: at 1000
creations a second, 1 in 20 took 0.5 ms longer."""
CLUSTER_PATIENCE_S = 10.0
"""Longest wait (s) for a silent API server before registering: meanwhile containers start without QoS."""
SWITCH_INTERVAL_S = 0.0001
"""Longest time (s) that a scrape or refresh may hold the GIL while the runtime waits; Python's default of 5 ms is too long."""
JOIN_S = 2.0
"""Longest wait (s) for a thread to end."""

NOTHING_GIVEN = Given()


class Daemon:
    """`run` blocks until `stop`, or until a runtime that launched us disconnects. Returns the exit code.

    given        what `simulate` and tests use instead of what the daemon finds
    confinement  what holds for this process, see koordnri.daemon.confinement
    """

    def __init__(
        self, config: Config, given: Given = NOTHING_GIVEN, *, log_fd: int = 2, confinement: str = NOT_CONFINED
    ) -> None:
        self.config = config
        self.parts = parts = Parts(config, given, log_fd, confinement)
        self.readiness = parts.readiness
        self._listeners = Listeners(config, parts)
        self._garbage = GarbageCollector()
        reconcile, nri = parts.ending.guarded(parts.reconciler.run), parts.ending.guarded(parts.session.run)
        control = parts.ending.guarded(parts.control_loop.run)
        self._control = threading.Thread(target=control, name="control", daemon=True)
        self._reconcile = threading.Thread(target=reconcile, name="reconcile", daemon=True)
        self._nri = threading.Thread(target=nri, name="nri", daemon=True)

    def run(self) -> int:
        """Serve until stopped. Raises ConfigError when the port is taken, and the error that ended one of the threads."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._start()
        try:
            self._loop()
        finally:
            self._end()
        if self.parts.ending.failure is not None:
            raise self.parts.ending.failure
        return 0

    def stop(self) -> None:
        """Ask `run` to return. Safe in a signal handler and from any thread."""
        self.parts.ending.ask()

    @property
    def port(self) -> int | None:
        """The port of metrics and health; None while not listening."""
        return self._listeners.port

    @property
    def page_port(self) -> int | None:
        """The port of the page for browsers; None while there is none."""
        return self._listeners.page_port

    @property
    def health_port(self) -> int | None:
        """The port of health alone; None while there is none."""
        return self._listeners.health_port

    def _start(self) -> None:
        parts = self.parts
        parts.sources.scan()
        if parts.cluster is not None and parts.cluster_events is not None:
            if self.config.policy_configmap is not None:
                parts.sources.load_last_good()
            parts.cluster_events.start()
            if parts.topology is None:
                parts.cluster.start(parts.changes, parts.sources.take_configmap)
            else:
                parts.cluster.start(parts.changes, parts.sources.take_configmap, parts.topology.seen)
        for publisher in parts.publishers:
            publisher.start()
        if parts.eviction_sender is not None:
            parts.eviction_sender.start()
        node = parts.present.node
        for problem in node.problems:
            parts.log.warning("node_fact_missing", problem=problem)
        self._listeners.open()
        parts.log.info(
            "started",
            hooks=list(parts.chain.order),
            node=node.name,
            port=self.port,
            page=self.page_port,
            landlock=parts.confinement,
        )
        self._garbage.start()
        parts.sources.watch()

    def _loop(self) -> None:
        parts, ending = self.parts, self.parts.ending
        ticks, tick_at = 0, 0.0
        patience = time.monotonic() + CLUSTER_PATIENCE_S
        while not ending.asked:
            admitted = parts.admission.seek()
            if admitted and self._nri.ident is None and self._may_register(patience):
                self._nri.start()
                if not parts.described:
                    self._reconcile.start()
                    self._control.start()
            ending.wake.wait(min(self._pace_s(), parts.notebook.due_in_s))
            ending.wake.clear()
            with parts.faults.within("state"):
                parts.notebook.save_if_due()
            if ending.failure is not None or (self._nri.ident is not None and not self._nri.is_alive()):
                return
            with parts.faults.within("policy"):
                parts.sources.scan()
            if time.monotonic() >= tick_at:
                ticks, tick_at = ticks + 1, time.monotonic() + NODE_TICK_S
                parts.changes.scan_node(full=ticks % FULL_REFRESH_TICKS == 0)
                parts.unstarted.look()
                if ticks % HISTORY_TICKS == 0 or not self._history_can_wait():
                    self._flush_history()
                self._garbage.step()

    def _end(self) -> None:
        parts = self.parts
        parts.session.stop()
        if parts.cluster is not None and parts.cluster_events is not None:
            parts.cluster_events.stop()
            if parts.eviction_sender is not None:
                parts.eviction_sender.stop()
            for publisher in parts.publishers:
                publisher.stop()
            parts.cluster.stop()
        self._undo_control()
        parts.requests.stop()
        for thread in (self._nri, self._reconcile):  # what the reconciler writes after this could never be given back
            if thread.ident is not None:
                thread.join(JOIN_S)
        parts.notebook.save_if_marked()
        self._flush_history()
        parts.sources.close()
        self._listeners.close()
        parts.admission.close_control()
        parts.admission.release()
        parts.log.info("stopped")
        parts.writer.close()
        self._garbage.stop()

    def _undo_control(self) -> None:
        """What controllers wanted is given back while the reconciler still can: nobody would move it any more."""
        self.parts.control_loop.stop()
        if self._control.ident is not None:
            self._control.join(JOIN_S)
            if self._reconcile.is_alive():
                self.parts.controlled.settle(JOIN_S)

    def _history_can_wait(self) -> bool:
        history = self.parts.history
        return self.parts.session.is_busy and history is not None and not history.must_settle

    def _flush_history(self) -> None:
        if self.parts.history is not None:
            with self.parts.faults.within("history"):
                self.parts.history.flush()

    def _pace_s(self) -> float:
        waits_for_cluster = self._nri.ident is None and self.parts.cluster is not None
        return POLICY_TICK_S if waits_for_cluster or self.parts.sources.must_be_asked else NODE_TICK_S

    def _may_register(self, patience: float) -> bool:
        """Everything is decided again when we register. Without the node's pools and the pods' specs, values of the previous daemon would
        be given back for a moment. So wait for the first answers, but not for ever.
        """
        parts = self.parts
        if parts.cluster is None or parts.cluster.answered or time.monotonic() > patience:
            return True
        parts.session.registration.problem = (
            f"waits {CLUSTER_PATIENCE_S:g} s at most for the API server's first answers"
        )
        return False
