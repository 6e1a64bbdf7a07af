"""The decision log: what each container got and why, as counters and as log lines. Called after the reply is out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from koordnri.model import Container, Decision, Event, Pod

Listener = Callable[[Pod, Container, Event, Decision], None]


class DecisionLog:
    """Counts decided fields and logs what pod owners and operators should know: errors as warnings, decisions at debug."""

    def __init__(self, log: Any, debug: bool = False, listener: Listener | None = None) -> None:
        self.fields: dict[tuple[str, str, str], int] = {}
        """(hook, field, route) → how often decided"""
        self._log = log
        self._debug = debug
        self._listener = listener

    def decided(self, pod: Pod, container: Container, event: Event, decision: Decision) -> None:
        """One container was decided and the runtime has been told."""
        counts = self.fields
        for setting in decision.settings.values():
            key = (setting.hook, setting.field.name, setting.route)
            counts[key] = counts.get(key, 0) + 1
        self._tell(pod, container, event, decision)
        if self._debug:
            self._log.debug(
                "decided",
                pod=f"{pod.namespace}/{pod.name}",
                container=container.name,
                op=event.value,
                fields={name: f"{s.value} ({s.hook}: {s.reason})" for name, s in decision.settings.items()},
                skipped=dict(decision.skipped),
            )

    def refused(self, pod: Pod, container: Container, event: Event, decision: Decision) -> None:
        """The runtime is told to refuse the container: nothing of the decision reaches it."""
        self._tell(pod, container, event, decision)

    def _tell(self, pod: Pod, container: Container, event: Event, decision: Decision) -> None:
        for error in decision.errors:
            self._log.warning(
                "hook_failed",
                pod=f"{pod.namespace}/{pod.name}",
                container=container.name,
                op=event.value,
                hook=error.hook,
                fault=error.fault,
                error=error.message,
            )
        if self._listener is not None:
            self._listener(pod, container, event, decision)
