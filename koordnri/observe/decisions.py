"""The decision log: what each container got and why, as counters and log lines. Called after the reply was sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from koordnri.model import Container, Decision, Event, Pod, Setting
from koordnri.model.decision import HookError
from koordnri.model.log import Log
from koordnri.model.verdict import Verdict
from koordnri.policy.pod_remarks import pod_remarks
from koordnri.state.entry import Entry

Listener = Callable[[Pod, Container, Event, Decision], None]
WarnPod = Callable[[Pod, str, str], None]
"""pod, reason (one CamelCase word), message"""
MOST_REMEMBERED = 10_000


MOST_UNSTARTED_A_SECOND = 5
"""Most log lines per second about containers that never started: each costs the event path 0.2 ms."""


BAD_ANNOTATION = "InvalidQoSAnnotation"
"""reason of the Event"""


NOT_ENTITLED = "NotEntitled"
"""reason of the Event about an input that the policy's trust rules do not believe"""


class DecisionLog:
    """Counts decided fields. Logs errors as warnings, for pod owners and operators, and decisions at debug level."""

    def __init__(
        self,
        log: Log,
        debug: bool = False,
        listener: Listener | None = None,
        warn_pod: WarnPod = lambda pod, reason, message: None,
        warn_node: Callable[[str, str], None] = lambda reason, message: None,
        monotonic: Callable[[], float] = time.monotonic,
        remember: Listener | None = None,
    ) -> None:
        """`warn_pod` sends an Event about what the pod's owner has to fix, `warn_node` one about what no single pod's owner can.
        `remember` is called with each decision that was sent.
        """
        self.fields: dict[tuple[str, str, str], int] = {}
        """(hook, field, route) → how often it was decided"""
        self._log = log
        self._debug = debug
        self._listener = listener
        self._remember_decision = remember
        self._warn_pod = warn_pod
        self._warn_node = warn_node
        self._monotonic = monotonic
        self._unstarted_since_s, self._unstarted = float("-inf"), 0
        self.verdicts: dict[tuple[str, str], int] = {}
        """(rule of trust, outcome) → how many pods had an input that was not believed, or would not be"""
        self._complained: set[int] = set()
        """hashes of what was reported: pods' owners write the messages, and ten thousand long ones would need 70 MB"""

    def decided(self, pod: Pod, container: Container, event: Event, decision: Decision) -> None:
        """A container was decided and the reply was sent."""
        counts = self.fields
        for setting in (*decision.settings.values(), *decision.observed.values()):
            key = (setting.hook, setting.field.name, setting.route)
            counts[key] = counts.get(key, 0) + 1
        self._report(pod, container, event, decision)
        if self._remember_decision is not None:
            self._remember_decision(pod, container, event, decision)
        if self._debug:
            self._log.debug(
                "decided",
                pod=f"{pod.namespace}/{pod.name}",
                container=container.name,
                op=event.value,
                fields=_shown(decision.settings),
                observed=_shown(decision.observed),
                skipped=dict(decision.skipped),
            )

    def refused(self, pod: Pod, container: Container, event: Event, decision: Decision) -> None:
        """The reply refuses the container: nothing of the decision reaches the runtime."""
        self._report(pod, container, event, decision)

    def never_started(self, pod: Pod | None, entry: Entry) -> None:
        """The container was removed between the reply to its creation and its start: another plugin's conflict, a refusal by the OCI
        runtime, or a deleted pod. Only the runtime's own log says which. All are counted; at most a few per second are logged.
        """
        now_s = self._monotonic()
        if now_s >= self._unstarted_since_s + 1.0:
            self._unstarted_since_s, self._unstarted = now_s, 0
        self._unstarted += 1
        if self._unstarted > MOST_UNSTARTED_A_SECOND:
            return
        self._log.warning(
            "container_never_started",
            pod=f"{pod.namespace}/{pod.name}" if pod is not None else entry.pod_id,
            container=entry.name,
            id=entry.id,
            sent=sorted(entry.sent),
        )

    def decided_again(self, pod: Pod, container: str, decision: Decision) -> None:
        """The reconciler decided with an error. It decides again and again; the same error is reported once."""
        for error in decision.errors:
            if self._remember(pod.id, container, error.hook, error.message):
                self._complain(pod, container, "reconcile", error)
        if not container:
            self._remark(pod)
        if pod.verdicts:
            self._report_verdicts(pod)

    def class_decided_again(self, kube_class: str, decision: Decision) -> None:
        """The same for a cgroup above the pods: a QoS class's, or `root`."""
        for error in decision.errors:
            if not self._remember(f"class:{kube_class}", "", error.hook, error.message):
                continue
            self._log.warning(
                "hook_failed",
                kube_class=kube_class,
                op="reconcile",
                hook=error.hook,
                fault=error.fault,
                error=error.message,
            )
            if error.fault == "pod":
                self._warn_node(BAD_ANNOTATION, f"cgroup {kube_class}: {_useless(error)}")

    def _report_verdicts(self, pod: Pod) -> None:
        """Report once per pod what it wrote that the policy does not believe. Its owner gets an Event only where that is certain."""
        for verdict in pod.verdicts:
            if verdict.outcome != "believed":
                self.not_entitled(pod, verdict)

    def not_entitled(self, pod: Pod, verdict: Verdict) -> None:
        """The policy does not believe an input of the pod. Any thread may call it, again and again."""
        if not self._remember(pod.uid or pod.id, "", verdict.rule, str(verdict)):
            return
        key = (verdict.rule, verdict.outcome)
        self.verdicts[key] = self.verdicts.get(key, 0) + 1
        self._log.warning(
            "not_entitled",
            pod=f"{pod.namespace}/{pod.name}",
            rule=verdict.rule,
            outcome=verdict.outcome,
            error=str(verdict),
        )
        if verdict.outcome == "refused":
            self._warn_pod(pod, NOT_ENTITLED, str(verdict))

    def _remark(self, pod: Pod) -> None:
        """Report what the pod says about its QoS without effect. Called by the reconciler, off the event path."""
        for remark in pod_remarks(pod):
            if self._remember(pod.id, "", "", remark.message):
                self._log.warning("pod_remark", pod=f"{pod.namespace}/{pod.name}", remark=remark.message)
                if remark.of_owner:
                    self._warn_pod(pod, "QoSSettingIgnored", remark.message)

    def _remember(self, owner_id: str, container: str, hook: str, message: str) -> bool:
        """Whether the message is new. Two threads call this; at worst something is reported twice."""
        complaint = hash((owner_id, container, hook, message))
        if complaint in self._complained:
            return False
        if len(self._complained) >= MOST_REMEMBERED:
            self._complained.clear()
        self._complained.add(complaint)
        return True

    def _complain(self, pod: Pod, container: str, op: str, error: HookError) -> None:
        self._log.warning(
            "hook_failed",
            pod=f"{pod.namespace}/{pod.name}",
            container=container,
            op=op,
            hook=error.hook,
            fault=error.fault,
            error=error.message,
        )
        if error.fault == "pod":
            where = f"container {container}: " if container else ""
            self._warn_pod(pod, BAD_ANNOTATION, where + _useless(error))

    def _report(self, pod: Pod, container: Container, event: Event, decision: Decision) -> None:
        for error in decision.errors:
            self._remember(pod.id, container.name, error.hook, error.message)
            self._complain(pod, container.name, event.value, error)
        if pod.verdicts:
            self._report_verdicts(pod)
        if self._listener is not None:
            self._listener(pod, container, event, decision)


def _useless(error: HookError) -> str:
    """The error cost either all fields of the hook, or only the faulty part."""
    return f"hook {error.hook} decided nothing by what is wrong here: {error.message}"


def _shown(settings: Mapping[str, Setting]) -> dict[str, str]:
    return {name: f"{s.value} ({s.hook}: {s.reason})" for name, s in settings.items()}
