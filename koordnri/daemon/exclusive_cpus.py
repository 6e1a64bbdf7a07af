"""Exclusive CPUs of containers: which container gets some, when, and how the others leave them before.

A new container has them from its start. They are allocated at its creation; the reconcile thread then writes the others' files at once.
StartContainer is the barrier: the runtime waits for our answer, and the container's process does not run yet (push.md). A running container
is promoted by `promotions`: CPUs are reserved, the next full pass moves the others off them, then the container gets them. When a pod has
ended (its last sandbox is stopped, the API server says so, or its cgroup has vanished), all its CPUs are free at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from koordnri.chain import ContainerRefused
from koordnri.cpus import restore
from koordnri.cpus.allocator import Allocator
from koordnri.cpus.assignments import in_order
from koordnri.cpus.holding import Holding
from koordnri.cpus.kubelet_pins import FoundPin
from koordnri.cpus.permission import why_not_given
from koordnri.cpus.room import NotEnough
from koordnri.cpus.wish import may_wish, wanted_by
from koordnri.daemon.cpu_claims import CPUClaims
from koordnri.daemon.cpu_notices import CPUNotices
from koordnri.daemon.events import Events
from koordnri.daemon.promotions import Promotions
from koordnri.daemon.resize_notices import ResizeNotices
from koordnri.model import Container, CPUSet, Decision, NodeState, Pod
from koordnri.model.allocated import NOT_ALLOCATED, Allocated
from koordnri.model.kubelet_cpus import pinned_by_kubelet
from koordnri.model.log import Log
from koordnri.model.verdict import Verdict
from koordnri.policy import Policy
from koordnri.reconcile.requests import Requests
from koordnri.state.containment import Faults
from koordnri.state.ledger import Ledger
from koordnri.state.present import Present

MOST_REMEMBERED = 10_000
"""uids of pods that have ended"""


class ExclusiveCPUs:
    """Implements `session.exclusive_cpus`. `give` and its neighbours are for the event thread, `promotions` for the reconcile thread;
    any thread may call `spec_known`, `pod_changed`, `pod_ended` and `pod_went`.

    present    what holds now; exclusive CPUs are part of it
    changed    called with a pod (None: all) whose files may have to follow
    overlay    adds what others than the runtime know about a pod by now
    awaits_specs   whether the specs of pods come from an API server, perhaps later than the runtime's report
    cpus_now   the cpuset of a container's cgroup (pod, container id); None when it cannot be read
    report     called when a pod is assigned CPUs of another pod
    """

    def __init__(
        self,
        allocator: Allocator,
        ledger: Ledger,
        requests: Requests,
        present: Present,
        changed: Callable[[str | None], None],
        events: Events,
        log: Log,
        overlay: Callable[[Pod], Pod] = lambda pod: pod,
        cpus_now: Callable[[Pod, str], CPUSet | None] = lambda pod, container_id: None,
        faults: Faults | None = None,
        awaits_specs: bool = False,
        report: Callable[[Pod, Verdict], None] = lambda pod, verdict: None,
    ) -> None:
        self.late = 0
        """containers that started before all others had left their CPUs"""
        self._allocator = allocator
        self._ledger = ledger
        self._requests = requests
        self._present = present
        self._changed = changed
        self._log = log
        self._cpus_now = cpus_now
        self._faults = faults or Faults(log)
        self._report = report
        self._notices = notices = CPUNotices(allocator, present, events, log)
        self._resizes = ResizeNotices(ledger, present, events)
        self._claims = CPUClaims(allocator, ledger, lambda: present.snapshot.policy.trust, overlay, awaits_specs)
        self.promotions = Promotions(allocator, ledger, requests, present, notices, self.pod_went, log)
        self._given: set[str] = set()
        self._waits: dict[str, int] = {}
        """container → what its start waits for"""
        self._ended: set[str] = set()
        """uids of pods that have ended according to the API server, but with containers that have not according to the runtime"""

    # -- the event path -----------------------------------------------------------------------------------------------

    def give(self, pod: Pod, container: Container) -> Allocated:
        """See `session.exclusive_cpus`. A bug here costs the container its exclusive CPUs, not its place in the share pool."""
        if not may_wish(pod):
            return NOT_ALLOCATED
        try:
            return self._give_or_warn(pod, container)
        except ContainerRefused:
            raise
        except Exception as error:  # noqa: BLE001  # see above; it is counted and reported
            self._faults.caught("cpus", error, pod)
            return NOT_ALLOCATED

    def _give_or_warn(self, pod: Pod, container: Container) -> Allocated:
        policy, node = self._present.snapshot
        if why := why_not_given(pod, policy, node):
            if pinned_by_kubelet(pod, container.baseline, node):
                return NOT_ALLOCATED  # kubelet has pinned it
            self._notices.lacks(pod, container.name, why)
            return NOT_ALLOCATED
        before = self._allocator.held
        try:
            holding = self._give(pod, container, policy, node)
        except NotEnough as error:
            if policy.cpuset.when_full == "reject":
                raise ContainerRefused(error.refusal(container.name), Decision()) from None
            self._notices.lacks(pod, container.name, str(error), error.shortage)
            return NOT_ALLOCATED
        if self._allocator.held is not before:
            self._present.take()
            self._given.add(container.id)
        if holding is None or (why := self._notices.why_lacking(pod, container.name)):
            self._notices.lacks(pod, container.name, self._notices.why_lacking(pod, container.name))
        return _allocated(holding)

    def _give(self, pod: Pod, container: Container, policy: Policy, node: NodeState) -> Holding | None:
        name, baseline, limits = container.name, container.baseline, policy.trust.limits_of_cpus
        try:
            return self._allocator.give(pod, name, baseline, node, policy.cpuset, limits)
        except NotEnough:
            # Without the pod's spec, an ended init container looks like a container that kubelet creates again.
            entries = self._ledger.containers_of(pod.id)
            live = {name, *(e.name for e in entries if not e.ended)}
            ended = [e.name for e in entries if e.ended and e.name not in live]
            if pod.spec is not None or not ended:
                raise
            for other in ended:
                self._allocator.spend(pod, other)
            return self._allocator.give(pod, name, baseline, node, policy.cpuset, limits)

    def resized(self, pod: Pod, container: Container) -> Allocated | None:
        """See `session.exclusive_cpus`."""
        with self._faults.within("cpus", pod):
            self._resizes.resized(pod, container)
        if not may_wish(pod):
            return None
        with self._faults.within("cpus", pod):
            return self._resize(pod, container)
        return None

    def _resize(self, pod: Pod, container: Container) -> Allocated | None:
        policy, node = self._present.snapshot
        if self._allocator.holding(pod, container.name) is None and why_not_given(pod, policy, node):
            return None
        before = self._allocator.held
        changed = self._allocator.resize(pod, container.name, container.baseline, node, policy.cpuset)
        if self._allocator.held is not before:
            self._present.take()
        holding = self._allocator.holding(pod, container.name)
        if changed or (holding is not None and len(holding.all) < self._wants(pod, container)):
            self._follow_later()
        return _allocated(holding) if self._allocator.held is not before else None

    @staticmethod
    def _wants(pod: Pod, container: Container) -> int:
        return wanted_by(pod, container.name, container.baseline).cpus

    def claimed(self, pod: Pod, name: str, cpus: CPUSet) -> None:
        """See `session.exclusive_cpus`."""
        if self._claims.claimed(pod, name, cpus):
            self._follow()

    def spec_known(self, uid: str) -> None:
        """A pod's spec is known, perhaps after the runtime has reported its containers. The overlay has it by now."""
        if self._claims.judge_again(uid):
            self._follow_later()

    def trust_changed(self) -> None:
        """Other trust rules are in force."""
        if self._claims.judge_again():
            self._follow_later()

    def kubelet_says(self, pod: Pod, container: Container, cpus: CPUSet, *, new: bool) -> None:
        """See `session.exclusive_cpus`."""
        present = self._present
        if not present.kubelet.heard(pod, container, cpus, present.snapshot.node, new=new):
            return
        if new:
            present.take()
            self._given.add(container.id)
        else:
            self._follow()

    def gave(self, pod: Pod, container_id: str) -> None:
        """See `session.exclusive_cpus`."""
        if may_wish(pod):
            entry = self._ledger.container(container_id)
            if entry is not None and (holding := self._allocator.holding(pod, entry.name)) is not None:
                self._notices.has(pod, entry.name, holding.cpus)
            if self._is_complete(pod) and self._allocator.drop_spent(pod):
                self._follow_later()
        if container_id in self._given:
            self._given.discard(container_id)
            self._waits[container_id] = self._requests.hurry()

    def wait_until_clear(self, container_id: str, budget_s: float) -> None:
        """See `session.exclusive_cpus`."""
        number = self._waits.pop(container_id, None)
        if number is not None and not self._requests.wait_done(number, budget_s):
            self.late += 1
            self._log.warning("exclusive_cpus_not_clear_yet", container=container_id)

    # -- containers and pods that end ---------------------------------------------------------------------------------

    def container_ended(self, pod: Pod, name: str) -> None:
        """See `session.exclusive_cpus`."""
        spec = None if pod.spec is None else pod.spec.containers.get(name)
        if spec is not None and spec.init:
            self._allocator.spend(pod, name)
        if pod.uid in self._ended and self.pod_ended(pod.uid):
            self._changed(None)

    def pod_came(self, pod: Pod) -> None:
        """See `session.exclusive_cpus`."""
        self._note(pod)

    def pod_changed(self, pod: Pod) -> None:
        """The API server reports a change of a pod: a scheduler's CPUs may have come or gone, or its spec be known now."""
        self._note(pod)
        if may_wish(pod) and self._allocator.lacking.get(pod.key):
            self._follow_later()

    def _note(self, pod: Pod) -> None:
        """Keep what a scheduler assigned to the pod."""
        changed, disputed = self._allocator.note_pod(pod), self._allocator.disputed(pod)
        if disputed is not None:
            self._report(pod, disputed)
            if changed:
                self._follow()  # at once, since its containers are created next
        elif changed:
            self._follow_later()

    def pod_ended(self, uid: str) -> bool:
        """The API server says that a pod has ended for good. Its running containers keep their CPUs until the runtime reports their end.

        Returns whether the pod was known here.
        """
        self._ended.add(uid)
        known = False
        for pod in self._ledger.sandboxes(uid):
            if all(entry.ended for entry in self._ledger.containers_of(pod.id)):
                known = True
                self._ledger.forget_pod(pod.id)
                self.pod_went(pod)
        if len(self._ended) > MOST_REMEMBERED:
            self._ended = {p.uid for p in self._ledger.pods()} & self._ended
        return known

    def has_ended(self, pod: Pod) -> bool:
        """Whether the pod has ended according to the API server."""
        return pod.uid in self._ended

    def pod_went(self, pod: Pod) -> None:
        """See `session.exclusive_cpus`."""
        key = pod.key
        if self._ledger.has(key):
            return  # kubelet has made a second sandbox
        self._ended.discard(pod.uid)
        freed = self._allocator.forget_pod(key)
        self._claims.forget_pod(key)
        self._notices.forget_pod(key)
        if self._present.kubelet.forget_pod(key) or freed:
            self._follow_later()

    def restore(
        self, found: Sequence[tuple[str, restore.FoundHolding]], pinned: Iterable[FoundPin]
    ) -> Mapping[str, Allocated]:
        """See `session.exclusive_cpus`."""
        self._given.clear()
        self._waits.clear()
        self._claims.clear()
        node = self._present.snapshot.node
        self._present.kubelet.restore(pinned, node)
        if any(one.is_lost for _, one in found):
            found = [(i, one._replace(now=self._cpus_now(one.pod, i)) if one.alive else one) for i, one in found]
        namespaces = {one.pod.key: one.pod.namespace for _, one in found}
        self._allocator.restore(restore.holdings((one for _, one in found), node), namespaces)
        for pod in in_order(found, self._cpus_now):
            self._allocator.note_pod(pod)
        self._present.take()
        noted = {}
        for container_id, one in found:
            if one.alive and may_wish(one.pod):
                noted[container_id] = _allocated(self._allocator.holding(one.pod, one.name))
        return noted

    # -- followers ----------------------------------------------------------------------------------------------------

    def _is_complete(self, pod: Pod) -> bool:
        """Whether all containers of the pod's spec have been created, so that no later one can use an init container's CPUs."""
        if pod.spec is None:
            return False
        there = {entry.name for entry in self._ledger.containers_of(pod.id)}
        return all(name in there for name, spec in pod.spec.containers.items() if not spec.init)

    def _follow_later(self) -> None:
        """Ask for a pass that computes the share pools: not on the event path, and once for the hundred pods that may come at a time."""
        self._present.expire()
        self._changed(None)

    def _follow(self) -> None:
        self._present.take()
        self._changed(None)


def _allocated(holding: Holding | None) -> Allocated:
    return NOT_ALLOCATED if holding is None else holding.allocated
