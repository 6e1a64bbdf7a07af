"""What a trust rule of the policy says about one input of a pod (koordnri.policy.trust)."""

from __future__ import annotations

from typing import Literal, NamedTuple

Outcome = Literal["believed", "refused", "unknown", "observed"]
"""unknown: refused only because the pod's spec, or the labels of its namespace, are not known, perhaps not yet. observed: it would be
refused, but the policy observes"""


class Verdict(NamedTuple):
    """One input of a pod, believed or not."""

    rule: str
    """key below `koordnri-config.trust`, such as `resourceStatus`"""
    what: str
    """the input, as messages name it: `annotation KEY`"""
    outcome: Outcome
    why: str
    annotations: tuple[str, ...] = ()
    """keys that a refusal takes away from the pod"""
    labels: tuple[str, ...] = ()
    """likewise"""
    instead: tuple[tuple[str, str], ...] = ()
    """(key, text) of annotations that a refusal replaces"""

    @property
    def counts(self) -> bool:
        """Whether the input has its effect."""
        return self.outcome in ("believed", "observed")

    def as_json(self) -> dict[str, str]:
        """Its shape in `explain`."""
        return {"rule": self.rule, "what": self.what, "outcome": self.outcome, "why": self.why}

    def __str__(self) -> str:
        verb = {"believed": "believed", "observed": "would not be believed"}.get(self.outcome, "not believed")
        return f"{self.what} {verb}: {self.why}"
