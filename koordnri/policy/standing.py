"""The policy document in force, and the last refused one. A bad document never replaces a good one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from koordnri.model.log import Log
from koordnri.model.node import NodeState
from koordnri.policy.document import PolicyDocument
from koordnri.policy.effects import policy_warnings
from koordnri.policy.errors import Mistake, PolicyError, as_policy_error
from koordnri.policy.policy import DEFAULT_POLICY, Policy


class RefusedPolicy(NamedTuple):
    """A document that was refused."""

    source: str
    mistakes: tuple[Mistake, ...]
    at_s: float
    """when (s, wall clock)"""

    def __str__(self) -> str:
        return "; ".join(map(str, self.mistakes))


class FormerPolicy(NamedTuple):
    """The document that was in force before the present one."""

    document: PolicyDocument | None
    """None: the defaults"""
    until_s: float
    """when it was replaced (s, wall clock)"""

    @property
    def revision(self) -> str:
        """As that of a Policy."""
        return DEFAULT_POLICY.revision if self.document is None else self.document.revision


class StandingPolicy:
    """The reader of a document calls `take` and `take_defaults`; everybody else only reads. Never raises.

    enforce   puts the document into force on the node; if it raises anything, the document is refused
    """

    def __init__(self, log: Log) -> None:
        self.document: PolicyDocument | None = None
        """None: the defaults are in force"""
        self.refused: RefusedPolicy | None = None
        """the last document, if it was refused; None once one was accepted"""
        self.former: FormerPolicy | None = None
        """None: there was no other since the daemon started"""
        self.acceptances = 0
        self.refusals = 0
        self._since_s = time.time()
        self._log = log

    def take(self, read: Callable[[], PolicyDocument], source: str, enforce: Callable[[], None]) -> bool:
        """Accept a document whole, or refuse it whole. `read` raises PolicyError for a bad one."""
        before = self.document
        if not self._taken(read, source, enforce):
            return False
        document = self.document
        if document is not None and (before is None or before.revision != document.revision):
            self._log.info("policy_accepted", revision=document.revision, source=document.source)
            for warning in document.warnings:
                self._log.warning("policy_warning", warning=str(warning))
        return True

    def take_defaults(self, reason: str, enforce: Callable[[], None]) -> bool:
        """There is no document (any more): koordlet's defaults hold, as upstream has it. False when not even they could be enforced."""
        if not self._taken(lambda: None, reason, enforce):
            return False
        self._log.info("policy_defaults", reason=reason)
        return True

    def state(self, policy: Policy, node: NodeState) -> Mapping[str, Any]:
        """For `/v1/policy`. `policy`: the document resolved for this node."""
        refused = self.refused
        return {
            "accepted": {
                "revision": policy.revision,
                "source": policy.source,
                "strategies": dict(policy.strategies),
                "notes": list(policy.notes),
                "warnings": list(policy_warnings(self.document, policy, node)),
                "since": _iso(self._since_s),
            },
            "former": None
            if self.former is None
            else {"revision": self.former.revision, "until": _iso(self.former.until_s)},
            "refused": None
            if refused is None
            else {
                "source": refused.source,
                "mistakes": [{"path": m.path, "message": m.message} for m in refused.mistakes],
                "since": _iso(refused.at_s),
            },
        }

    def _taken(self, read: Callable[[], PolicyDocument | None], source: str, enforce: Callable[[], None]) -> bool:
        before = self.document, self._since_s
        try:
            self.document, self._since_s = read(), time.time()
            enforce()
        except Exception as error:  # noqa: BLE001  # whatever a document brings about, the one before it stays in force
            self.document, self._since_s = before
            self._refuse(source, error)
            return False
        # Cleared only now that it is in force, because readiness depends on it.
        self.refused = None
        if self.acceptances and _revision(before[0]) != _revision(self.document):
            self.former = FormerPolicy(before[0], self._since_s)
        self.acceptances += 1
        return True

    def _refuse(self, source: str, error: Exception) -> None:
        mistakes = as_policy_error(error).mistakes
        self.refused = RefusedPolicy(source, mistakes, time.time())
        self.refusals += 1
        trace = {} if isinstance(error, PolicyError) else {"exc_info": True}
        self._log.error("policy_refused", source=source, mistakes=[str(m) for m in mistakes], **trace)


def _revision(document: PolicyDocument | None) -> str:
    return "" if document is None else document.revision


def _iso(unix_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix_s))
