"""CPUs that a DRA driver gave to containers, according to their environment, and whether that is believed. See koordnri.cpus.dra."""

from __future__ import annotations

from collections.abc import Callable

from koordnri.cpus.allocator import Allocator
from koordnri.cpus.dra import may_have_claims
from koordnri.daemon.cpu_notices import CPUNotices
from koordnri.model import CPUSet, Pod
from koordnri.model.pod import PodSpec


class CPUClaims:
    """`claimed` is for the event path. The API server may report a pod's spec before, at the same time, or later.

    overlay   adds what others than the runtime know about a pod by now
    """

    def __init__(self, allocator: Allocator, notices: CPUNotices, overlay: Callable[[Pod], Pod]) -> None:
        self._allocator = allocator
        self._notices = notices
        self._overlay = overlay
        self._claimants: dict[str, Pod] = {}
        """key → pod that has containers which claim CPUs from a DRA driver"""

    def claimed(self, pod: Pod, name: str, cpus: CPUSet) -> bool:
        """A container's environment names these CPUs. Returns whether the allocator has (or for a moment had) them."""
        if not cpus:
            return False
        if not may_have_claims(self._overlay(pod).spec):
            self._notices.disbelieved(pod, name, cpus)
            return False
        self._claimants[pod.key] = pod
        self._allocator.note_dra(pod.key, name, cpus)
        if not may_have_claims(
            self._overlay(pod).spec
        ):  # the spec may have arrived before there was anything to give back
            self._give_back(pod)
        return True

    def spec_known(self, uid: str, spec: PodSpec) -> bool:
        """A pod's spec is known, and the overlay has it. Returns whether CPUs that were believed are given back."""
        if may_have_claims(spec):
            return False
        given_back = [self._give_back(p) for p in self._claimants.copy().values() if p.uid == uid]
        return any(given_back)

    def forget_pod(self, key: str) -> None:
        """The pod is gone."""
        self._claimants.pop(key, None)

    def clear(self) -> None:
        """Synchronize: the runtime reports all containers again, and with them all claims."""
        self._claimants.clear()

    def _give_back(self, pod: Pod) -> bool:
        """Returns whether a pod without resource claims had been believed."""
        self._claimants.pop(pod.key, None)
        noted = self._allocator.forget_dra(pod.key)
        for name, cpus in noted.items():
            self._notices.disbelieved(pod, name, cpus)
        return bool(noted)
