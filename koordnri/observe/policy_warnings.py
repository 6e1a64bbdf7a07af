"""Reports which parts of the policy in force have no effect: as an Event on the Node, in the log, and as a metric."""

from __future__ import annotations

from collections.abc import Callable

from koordnri.chain import Snapshot
from koordnri.model.log import Log
from koordnri.policy import PolicyDocument
from koordnri.policy.effects import policy_warnings, without_effect_on

REASON = "PolicyWarning"
"""reason of the Event"""
_MOST_SENT = 5
"""Most warnings in an Event, which has room for a kilobyte; `/v1/policy` has all."""


class PolicyWarnings:
    """Call `update` after each change of policy or node. `warn_node` sends an Event on the Node: reason and message."""

    def __init__(self, log: Log, warn_node: Callable[[str, str], None]) -> None:
        self.now: tuple[str, ...] = ()
        """all current warnings, each with its path"""
        self._log = log
        self._warn_node = warn_node
        self._here: frozenset[str] = frozenset()

    def update(self, document: PolicyDocument | None, snapshot: Snapshot) -> None:
        """Report new warnings. Mistakes of the document itself are logged by its reader."""
        before, self.now = self.now, policy_warnings(document, *snapshot)
        here, self._here = self._here, frozenset(without_effect_on(*snapshot))
        for warning in self.now:
            if warning in self._here and warning not in here:
                self._log.warning("policy_warning", warning=warning)
        if set(self.now) - set(before):
            more = len(self.now) - _MOST_SENT
            text = "; ".join(self.now[:_MOST_SENT]) + (f"; and {more} more, see /v1/policy" if more > 0 else "")
            self._warn_node(REASON, f"revision {snapshot.policy.revision}: {text}")
