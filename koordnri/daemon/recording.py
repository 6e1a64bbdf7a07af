"""The route by which the recorder records, and what happens when it is turned off."""

from __future__ import annotations

from koordnri.daemon.config import Config
from koordnri.daemon.events import Events
from koordnri.daemon.node_facts import ReportedFacts
from koordnri.model import NodeState
from koordnri.model.log import Log
from koordnri.reconcile.recorder import AUTO, RESYNC, UNSOLICITED, Push
from koordnri.session.calls import Calls
from koordnri.session.pushes import Resync, Unsolicited
from koordnri.state.present import Present


class Recording:
    """For Recorder: the available routes, the preferred one, and a report when one is turned off."""

    def __init__(
        self, config: Config, present: Present, facts: ReportedFacts, calls: Calls, events: Events, log: Log
    ) -> None:
        self._asked = config.record_route
        self._present = present
        self._facts = facts
        self._events = events
        self._log = log
        self.pushes: dict[str, Push] = {UNSOLICITED: Unsolicited(calls, self._node)}
        if config.identity.fd is None:  # otherwise the runtime made our connection, and there may be no socket
            self.pushes[RESYNC] = Resync(config.nri_socket, self._node)

    def preferred(self) -> str:
        """The command line's route, else the policy's, else the one for this runtime."""
        asked = self._asked or self._present.snapshot.policy.record_route or AUTO
        return self._facts.runtime.record_route if asked == AUTO else asked

    def off(self, route: str, reason: str) -> None:
        """A route was turned off."""
        self._log.error("record_route_off", route=route, error=reason)
        self._events.warn_node(
            "RecordRouteOff", f"changes are no longer recorded by {route}, until koordnri restarts: {reason}"
        )

    def _node(self) -> NodeState:
        return self._present.snapshot.node
