"""CPUs of their own for single containers: who gets some, and that the others have left them before the owner runs.

Allocated while the container is created; the others' files are written at once by the reconcile thread; StartContainer, at which the
runtime waits for us with the container's process not yet running, is the barrier (push.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from koordnri.chain import Refused
from koordnri.cpus.allocator import Allocator, NotEnough, may_give
from koordnri.cpus.dra import disbelief, may_have_claims
from koordnri.cpus.kubelet_pins import Found
from koordnri.ledger import Ledger
from koordnri.model import AnnotationError, Container, CPUSet, Decision, Pod
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.pod import PodSpec
from koordnri.present import Present
from koordnri.reconcile.reconciler import Reconciler

MOST_REMEMBERED = 10_000
"""containers that were told; a pod that went while we were not there is never forgotten else"""


class OwnCPUs:
    """What `session.own_cpus` describes. Called by the event thread, but for `spec_told`, and for `pod_went` of a pod whose end the
    runtime does not tell.

    present    what holds now, of which the assignments are a part
    changed    all containers may have to follow
    tell_pod   an Event for the pod's owner
    budget_s   how long a start may wait for the others to leave
    overlay    adds to a pod what others than the runtime know of it by now
    """

    def __init__(
        self,
        allocator: Allocator,
        ledger: Ledger,
        reconciler: Reconciler,
        present: Present,
        changed: Callable[[], None],
        tell_pod: Callable[[Pod, str, str], None],
        budget_s: Callable[[], float],
        log: Any,
        overlay: Callable[[Pod], Pod] = lambda pod: pod,
    ) -> None:
        self.late = 0
        """starts that did not wait to the end"""
        self._allocator = allocator
        self._ledger = ledger
        self._reconciler = reconciler
        self._present = present
        self._changed = changed
        self._tell_pod = tell_pod
        self._budget_s = budget_s
        self._log = log
        self._overlay = overlay
        self._claimants: dict[str, Pod] = {}
        """pod id → pod of which a DRA driver seems to have given CPUs to containers"""
        self._disbelieved: set[tuple[str, str]] = set()
        """(pod id, container) whose pod was told"""
        self._given: set[str] = set()
        self._waits: dict[str, int] = {}
        """container → what its start waits for"""

    def give(self, pod: Pod, container: Container) -> str:
        """See `session.own_cpus`."""
        policy, node = self._present.snapshot
        if not may_give(pod, policy, node):
            return ""
        before = self._allocator.given
        try:
            given = self._allocator.give(pod, container.name, container.baseline, node, self._ledger.pods())
        except AnnotationError:
            return ""  # told by the cpuset hook
        except NotEnough as error:
            if policy.cpuset.when_full == "reject":
                raise Refused(error.refusal(container.name), Decision()) from None
            self._tell_pod(pod, "NoCPUsOfItsOwn", f"container {container.name} {error.shortage}")
            self._log.warning(
                "no_own_cpus", pod=f"{pod.namespace}/{pod.name}", container=container.name, error=str(error)
            )
            return ""
        if self._allocator.given is not before:
            self._present.take()
            self._given.add(container.id)
        return "" if given is None else str(given)

    def claimed(self, pod: Pod, name: str, cpus: CPUSet) -> None:
        """See `session.own_cpus`."""
        if not cpus:
            return
        if not may_have_claims(self._overlay(pod).spec):
            self._disbelieve(pod, name, cpus)
            return
        self._claimants[pod.id] = pod
        self._allocator.note_dra(pod.id, name, cpus)
        if not may_have_claims(self._overlay(pod).spec):  # told meanwhile, maybe before there was anything to give back
            self._give_back(pod)
        self._follow()

    def spec_told(self, uid: str, spec: PodSpec) -> None:
        """Any thread: the API server tells what is in a pod's spec, perhaps later than the runtime told of its containers. The pod's
        overlay has it by then.
        """
        if may_have_claims(spec):
            return
        for pod in [p for p in self._claimants.copy().values() if p.uid == uid]:
            if self._give_back(pod):
                self._follow_later()

    def kubelet_says(self, pod: Pod, container: Container, cpus: str, *, new: bool) -> None:
        """See `session.own_cpus`."""
        present = self._present
        if not present.kubelet.heard(pod, container, cpus, present.snapshot.node, new=new):
            return
        if new:
            present.take()
            self._given.add(container.id)
        else:
            self._follow()

    def gave(self, container_id: str) -> None:
        """See `session.own_cpus`."""
        if container_id in self._given:
            self._given.discard(container_id)
            self._waits[container_id] = self._reconciler.hurry()

    def wait_until_clear(self, container_id: str) -> None:
        """See `session.own_cpus`."""
        number = self._waits.pop(container_id, None)
        if number is not None and not self._reconciler.wait_done(number, self._budget_s()):
            self.late += 1
            self._log.warning("own_cpus_not_clear_yet", container=container_id)

    def pod_came(self, pod: Pod) -> None:
        """See `session.own_cpus`."""
        if RESOURCE_STATUS.key in pod.annotations:
            self._follow_later()

    def pod_went(self, pod: Pod) -> None:
        """See `session.own_cpus`."""
        freed = self._allocator.forget_pod(pod.id)
        self._claimants.pop(pod.id, None)
        self._disbelieved = {told for told in self._disbelieved.copy() if told[0] != pod.id}
        if self._present.kubelet.forget_pod(pod.id) or freed or RESOURCE_STATUS.key in pod.annotations:
            self._follow_later()

    def restore(self, found: Iterable[tuple[Pod, str, str]], pinned: Iterable[Found]) -> None:
        """See `session.own_cpus`."""
        self._given.clear()
        self._waits.clear()
        self._claimants.clear()
        self._present.kubelet.restore(pinned, self._present.snapshot.node)
        self._allocator.restore(found)
        self._present.take()

    def _give_back(self, pod: Pod) -> bool:
        """Whether a pod without resource claims had been believed to have CPUs by some."""
        self._claimants.pop(pod.id, None)
        noted = self._allocator.forget_dra(pod.id)
        for name, cpus in noted.items():
            self._disbelieve(pod, name, cpus)
        return bool(noted)

    def _disbelieve(self, pod: Pod, name: str, cpus: CPUSet) -> None:
        if (pod.id, name) in self._disbelieved:
            return
        if len(self._disbelieved) >= MOST_REMEMBERED:
            self._disbelieved.clear()
        self._disbelieved.add((pod.id, name))
        message = disbelief(name, cpus)
        self._tell_pod(pod, "NoCPUsByClaim", message)
        self._log.warning("dra_cpus_not_believed", pod=f"{pod.namespace}/{pod.name}", container=name, error=message)

    def _follow_later(self) -> None:
        """Where pods come and go by the hundred, the share pools are reckoned once for many of them, and not on the event path."""
        self._present.expire()
        self._changed()

    def _follow(self) -> None:
        self._present.take()
        self._changed()
