"""Passes the reconciler's findings to those whom they concern."""

from __future__ import annotations

from collections.abc import Callable

from koordnri.daemon.events import Events
from koordnri.model import Decision, NodeState, Pod
from koordnri.model.log import Log
from koordnri.observe.decisions import DecisionLog
from koordnri.reconcile.failures import Failure
from koordnri.reconcile.owner import place_of
from koordnri.session.exclusive_cpus import ExclusiveCPUsPort
from koordnri.state.causes import PassDone
from koordnri.state.history import History
from koordnri.state.history_maker import FileRefusal
from koordnri.state.ledger import Ledger

REASON = "QoSNotApplied"
"""reason of the Event"""


class ReconcilerReports:
    """Implements koordnri.reconcile.ports.Reports."""

    def __init__(
        self,
        events: Events,
        decisions: DecisionLog,
        history: History | None,
        ledger: Ledger,
        cpus: ExclusiveCPUsPort | None,
        log: Log,
        node: Callable[[], NodeState] = NodeState,
    ) -> None:
        """`node` returns the node in force."""
        self._events = events
        self._decisions = decisions
        self._history = history
        self._ledger = ledger
        self._cpus = cpus
        self._log = log
        self._node = node

    def decided_again(self, pod: Pod, container: str, decision: Decision) -> None:
        """A decision about a pod's own cgroup, or one with errors about a container."""
        self._decisions.decided_again(pod, container, decision)
        if not container:
            for verdict in self._node().own_verdicts(pod):
                self._decisions.not_entitled(pod, verdict)

    def class_decided_again(self, kube_class: str, decision: Decision) -> None:
        """A decision with errors about a QoS class's cgroup."""
        self._decisions.class_decided_again(kube_class, decision)

    def not_applied(self, failure: Failure) -> None:
        """A file that did not take its value."""
        owner, message = failure.owner, f"{failure.field} = {failure.value}: {failure.error}"
        if owner.pod is None:
            self._events.warn_node(REASON, f"cgroup {owner.title}: {message}")
        else:
            where = f"container {owner.container}: " if owner.container else ""
            self._events.warn_pod(owner.pod, REASON, where + message)

        if self._history is not None:
            self._history.refused(FileRefusal(place_of(owner, failure.field), failure.value, failure.error))

    def passed(self, done: PassDone) -> None:
        """Files that a pass wrote."""
        if self._history is not None:
            self._history.passed(done)

    def pod_gone(self, pod: Pod) -> None:
        """A pod's cgroup vanished without a report by the runtime."""
        self._log.info("pod_gone_unreported", pod=f"{pod.namespace}/{pod.name}")
        self._ledger.forget_pod(pod.id)
        if self._cpus is not None:
            self._cpus.pod_went(pod)

    def warn_node(self, reason: str, message: str) -> None:
        """A Warning Event on the Node."""
        self._events.warn_node(reason, message)
