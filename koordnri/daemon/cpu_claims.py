"""CPUs that a DRA driver gave to containers, according to their environment; koordnri.policy.trust_claims says whether that is believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from koordnri.cpus.allocator import Allocator
from koordnri.model import CPUSet, Pod
from koordnri.model.cpuset import union
from koordnri.model.verdict import Verdict
from koordnri.policy.trust_claims import claimed_cpus
from koordnri.policy.trust_options import TrustOptions
from koordnri.state.ledger import Ledger


class _Claim(NamedTuple):
    pod: Pod
    cpus: dict[str, CPUSet]
    """container → CPUs that its environment names"""


class CPUClaims:
    """`claimed` is for the event path. The API server may report a pod's spec and claims before, at the same time, or later.

    overlay   adds what others than the runtime know about a pod by now
    awaited   whether specs and claims come from an API server. Until they do, the environment is believed: CPUs that a driver did give
              must not be taken away while the daemon starts
    """

    def __init__(
        self,
        allocator: Allocator,
        ledger: Ledger,
        trust: Callable[[], TrustOptions],
        overlay: Callable[[Pod], Pod],
        awaited: bool,
    ) -> None:
        self._allocator = allocator
        self._ledger = ledger
        self._trust = trust
        self._overlay = overlay
        self._awaited = awaited
        self._claims: dict[str, _Claim] = {}
        """key of the pod → what its containers claim"""

    def claimed(self, pod: Pod, name: str, cpus: CPUSet) -> bool:
        """A container's environment names these CPUs. Returns whether what the allocator has of the pod has changed."""
        if not cpus:
            return False
        self._claims.setdefault(pod.key, _Claim(pod, {})).cpus[name] = cpus
        return self._apply(pod.key, pod)

    def judge_again(self, uid: str | None = None) -> bool:
        """The spec or claims of a pod are known (the overlay has them), or, with None, other trust rules are in force. Returns whether what
        the allocator has has changed.
        """
        keys = [key for key, claim in self._claims.copy().items() if uid is None or claim.pod.uid == uid]
        changes = [self._apply(key) for key in keys]
        return any(changes)

    def forget_pod(self, key: str) -> None:
        """The pod is gone."""
        self._claims.pop(key, None)

    def clear(self) -> None:
        """Synchronize: the runtime reports all containers again, and with them all claims."""
        self._claims.clear()

    def _apply(self, key: str, pod: Pod | None = None) -> bool:
        """Judge what a pod claims, and let the allocator have it or not. Another thread may learn of the pod meanwhile: so it is judged
        until the verdict stays.
        """
        changed, before = False, None
        while (claim := self._claims.get(key)) is not None and (verdict := self._judged(claim)) != before:
            before = verdict
            if verdict.counts or (verdict.outcome == "unknown" and self._awaited):
                for name, cpus in claim.cpus.copy().items():
                    changed |= self._allocator.note_dra(key, name, cpus)
            else:
                changed |= bool(self._allocator.forget_dra(key))
            if verdict.outcome != "unknown" or not self._awaited:
                for one in {id(p): p for p in (pod or claim.pod, *self._ledger.sandboxes(claim.pod.uid))}.values():
                    one.verdicts = (*(v for v in one.verdicts if v.rule != verdict.rule), verdict)
        return changed

    def _judged(self, claim: _Claim) -> Verdict:
        return claimed_cpus(self._overlay(claim.pod), union(claim.cpus.copy().values()), self._trust())
