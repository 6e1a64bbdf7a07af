"""Changes of exclusive CPUs. Running containers keep theirs. What a policy would give or not give has the route `restart`, as if the pods
were created again one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from koordnri.chain import Snapshot
from koordnri.cpus.allocator import Allocator
from koordnri.cpus.creation import Creation, create, promote
from koordnri.model import Event, Pod
from koordnri.model.routes import REPLY
from koordnri.reconcile.compare.moves import asked, baseline_of_pod, moves
from koordnri.reconcile.compare.pod_decisions import PodDecisions
from koordnri.reconcile.compare.rows import RESTART, Difference, Remark, difference
from koordnri.reconcile.compare.running import Running
from koordnri.reconcile.owner import names_of_pod

_RECREATED = "once its pod is created again"


def noted(given: Allocator, pods: Iterable[Pod]) -> Allocator:
    """A copy of the allocator with what schedulers assigned to these pods."""
    given = given.copy()
    for pod in pods:
        given.note_pod(pod)
    return given


def promoted(running: Iterable[Running], snapshot: Snapshot, given: Allocator) -> Allocator:
    """The allocator after promoting running containers under a policy."""
    given = given.copy()
    promote([(one.pod, one.containers) for one in running], snapshot, given)
    given.arrive(given.coming())
    return given


def applied(given: Allocator, snapshot: Snapshot) -> Snapshot:
    return snapshot._replace(node=given.applied(snapshot.node, snapshot.policy.cpuset))


def recreated_pods(running: Sequence[Running], snapshot: Snapshot, given: Allocator | None) -> Creation:
    if given is None:
        return Creation(snapshot, {}, {})
    pods = [(one.pod, one.containers) for one in running]
    return create(pods, snapshot, given.copy(), [pod for pod, _ in pods])


def gets_other_cpus(pod: Pod, old: Creation, new: Creation) -> bool:
    """Whether the policies would give the pod different exclusive CPUs if it were created again."""
    return old.given.get(pod.key) != new.given.get(pod.key)


def of_exclusive_cpus(
    running: Running, becomes: PodDecisions, snapshot: Snapshot, recreated: Creation
) -> Iterator[Difference]:
    """What would change if the pod were created again and got other exclusive CPUs, or none."""
    pod, node = running.pod, snapshot.node
    if any(refusal for _, refusal in becomes.created):
        return  # it would get nothing; a remark says so
    of_pod = moves(becomes.own, becomes.recreated, snapshot, baseline_of_pod(running, node))
    # Not those of its sandbox, which is in the share pool like all sandboxes.
    changes = [("", becomes.recreated, move) for move in of_pod if not move.setting.field.in_sandbox]
    routes = node.routes(Event.SYNC)
    owners = {**node.exclusive_cpus.get(pod.key, {}), **recreated.given.get(pod.key, {})}
    for container, follows, (created, _) in zip(running.containers, becomes.following, becomes.created, strict=True):
        if container.name not in owners:
            continue
        found = moves(follows, created, snapshot, partial(asked, container, node))
        # Other routes: see compare._of_creation.
        changes += [(container.name, created, move) for move in found if routes[move.setting.field] == REPLY]
    for name, then, move in changes:
        reason = move.reason if move.name in then.settings else "nothing of ours, without exclusive CPUs"
        move = move._replace(reason=f"{_RECREATED}: {reason}")
        yield difference(names_of_pod(pod), name, move, RESTART, recorded=False)


def short(running: Running, old: Creation, new: Creation) -> Iterator[Remark]:
    """Remarks for containers that would get exclusive CPUs only under the old policy."""
    pod = running.pod
    for container in running.containers:
        if container.name in old.given.get(pod.key, ()) and (shortage := new.shortage(pod, container.name)):
            yield Remark(pod.namespace, pod.name, container.name, "cpuset", f"{_RECREATED}: {shortage}")
