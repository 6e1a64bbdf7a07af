"""CPUs that a DRA driver gave to containers, as their environment says: whether that is believed. See koordnri.cpus.dra."""

from __future__ import annotations

from collections.abc import Callable

from koordnri.cpus.allocator import Allocator
from koordnri.cpus.dra import may_have_claims
from koordnri.daemon.cpu_notices import CPUNotices
from koordnri.model import CPUSet, Pod
from koordnri.model.pod import PodSpec


class CPUClaims:
    """`claimed` is for the event path; the API server may tell a pod's spec before, meanwhile or later.

    overlay   adds to a pod what others than the runtime know of it by now
    """

    def __init__(self, allocator: Allocator, notices: CPUNotices, overlay: Callable[[Pod], Pod]) -> None:
        self._allocator = allocator
        self._notices = notices
        self._overlay = overlay
        self._claimants: dict[str, Pod] = {}
        """key → pod of which a DRA driver seems to have given CPUs to containers"""

    def claimed(self, pod: Pod, name: str, cpus: CPUSet) -> bool:
        """A container's environment names these CPUs. Whether the allocator knows of them now, or did for a moment."""
        if not cpus:
            return False
        if not may_have_claims(self._overlay(pod).spec):
            self._notices.disbelieved(pod, name, cpus)
            return False
        self._claimants[pod.key] = pod
        self._allocator.note_dra(pod.key, name, cpus)
        if not may_have_claims(self._overlay(pod).spec):  # told meanwhile, maybe before there was anything to give back
            self._give_back(pod)
        return True

    def spec_told(self, uid: str, spec: PodSpec) -> bool:
        """The API server tells what is in a pod's spec, and the overlay has it. Whether CPUs are given back that had been believed in."""
        if may_have_claims(spec):
            return False
        given_back = [self._give_back(p) for p in self._claimants.copy().values() if p.uid == uid]
        return any(given_back)

    def forget_pod(self, key: str) -> None:
        """It is gone."""
        self._claimants.pop(key, None)

    def clear(self) -> None:
        """The runtime tells anew what runs."""
        self._claimants.clear()

    def _give_back(self, pod: Pod) -> bool:
        """Whether a pod without resource claims had been believed to have CPUs by some."""
        self._claimants.pop(pod.key, None)
        noted = self._allocator.forget_dra(pod.key)
        for name, cpus in noted.items():
            self._notices.disbelieved(pod, name, cpus)
        return bool(noted)
