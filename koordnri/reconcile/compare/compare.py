"""What another policy would change of running containers, before it is applied: decides under both policies, and compares.

A running container follows by files that are written. What only a creation can set waits for a restart. What is not decided any more goes
back to the baseline.

The rows of the result are in `rows`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from koordnri.chain import Chain, Snapshot
from koordnri.cpus.allocator import Allocator
from koordnri.model import Container, Decision, Event, Field, NodeState, Pod, Setting, fields
from koordnri.model.class_cgroup import HostCgroup
from koordnri.model.difference import baseline_value
from koordnri.model.fields import VOIDABLE
from koordnri.model.resources import NOTHING, Resources
from koordnri.model.routes import REPLY, RESCTRL, WRITE, Refusal
from koordnri.reconcile.compare.exclusive import (
    applied,
    gets_other_cpus,
    noted,
    of_exclusive_cpus,
    promoted,
    recreated_pods,
    short,
)
from koordnri.reconcile.compare.groups import of_groups
from koordnri.reconcile.compare.moves import Move, asked, baseline_of_pod, moves, reads_alike
from koordnri.reconcile.compare.pod_decisions import PodDecisions, decide
from koordnri.reconcile.compare.rows import RESTART, Comparison, Difference, Remark, difference
from koordnri.reconcile.compare.running import Above, Running
from koordnri.reconcile.host_applications import decide_outside
from koordnri.reconcile.owner import names_of_class, names_of_pod

_SANDBOX = "sandbox: "
_NOTHING = Decision()


def compare(
    chain: Chain,
    running: Iterable[Running],
    old: Snapshot,
    new: Snapshot,
    above: Iterable[Above] = (),
    given: Allocator | None = None,
) -> Comparison:
    """Decide everything that runs under both snapshots of one node. Nobody else may use `chain` meanwhile.

    above   the cgroups outside of pods
    given   the holdings of exclusive CPUs; not changed. None: there are none
    """
    known = {one.cgroup.id: one for one in above}
    # Each policy may believe other inputs of a pod.
    running_old = [one._replace(pod=old.believed(one.pod)) for one in running]
    running = [one._replace(pod=new.believed(one.pod)) for one in running_old]
    pods_old, pods = [one.pod for one in running_old], [one.pod for one in running]
    recreated_old, recreated_new = recreated_pods(running_old, old, given), recreated_pods(running, new, given)
    if given is not None:
        old = applied(noted(given, pods_old), old)
        new = applied(promoted(running, new, noted(given, pods)), new)
    # Everything under one policy first, then under the other: the chain makes its plan again whenever the policy changes.
    before = [decide(chain, one, old, recreated_old) for one in running_old]
    outside_before = dict(decide_outside(chain, pods_old, old, partial(_set, known)))
    after = [decide(chain, one, new, recreated_new) for one in running]
    outside_after = dict(decide_outside(chain, pods, new, partial(_set, known)))
    differences: list[Difference] = []
    remarks: dict[Remark, None] = {}
    for one, was, becomes in zip(running, before, after, strict=True):
        remarks |= dict.fromkeys(_remarks(one, was, becomes))
        differences += _of_pod(one, was.own, becomes.own, new)
        for i, container in enumerate(one.containers):
            differences += _of_running(one.pod, container, was.following[i], becomes.following[i], new)
            differences += _of_creation(one.pod, container, was.created[i][0], becomes.created[i][0], new)
        if gets_other_cpus(one.pod, recreated_old, recreated_new):
            differences += of_exclusive_cpus(one, becomes, new, recreated_new)
            remarks |= dict.fromkeys(short(one, recreated_old, recreated_new))
    for cgroup in dict.fromkeys((*outside_after, *outside_before)):
        was_decided, decision = outside_before.get(cgroup, _NOTHING), outside_after.get(cgroup, _NOTHING)
        remarks |= dict.fromkeys(_errors(names_of_class(cgroup), "", was_decided, decision))
        differences += _of_class(known.get(cgroup.id, Above(cgroup)), was_decided, decision, new)
    differences += of_groups(pods, old, new)
    containers = sum(len(one.containers) for one in running)
    revisions, notes = (old.policy.revision, new.policy.revision), notes_of(new, old.node)
    return Comparison(*revisions, len(running), containers, differences, list(remarks), notes)


def _set(known: Mapping[str, Above], cgroup: HostCgroup) -> Resources:
    return known[cgroup.id].resources if cgroup.id in known else NOTHING


def notes_of(snapshot: Snapshot, node: NodeState) -> list[str]:
    """What a policy does on a node that people may not expect. `node`: without this policy."""
    return [*snapshot.policy.notes, *(p for p in snapshot.node.problems if p not in node.problems)]


def _of_pod(running: Running, old: Decision, new: Decision, snapshot: Snapshot) -> Iterator[Difference]:
    found = moves(old, new, snapshot, baseline_of_pod(running, snapshot.node))
    for move in _with_void(found, running, old, new, snapshot.node):
        if move.setting.field.in_sandbox:
            if not running.sandbox:
                continue
            if not move.reason.startswith(_SANDBOX):
                move = move._replace(reason=_SANDBOX + move.reason.replace(_SANDBOX, ""))
        if not reads_alike(move, snapshot.node):
            yield difference(names_of_pod(running.pod), "", move, WRITE, recorded=False)


def _with_void(
    found: Iterable[Move], running: Running, old: Decision, new: Decision, node: NodeState
) -> Iterator[Move]:
    """The changes of a pod, with those of fields that another field makes void: cpu.shares while cpu.idle is 1, for example.

    A void field has no value. It is set again when it is no longer void.
    """
    void = [field for field in VOIDABLE if field.is_void(old.value) or field.is_void(new.value)]
    yield from (move for move in found if move.setting.field not in void)
    for field in void:
        other, name = field.void_while, field.name
        if other is None or field.is_void(new.value) or other in new.undecided:
            continue
        before, after = running.files.before_us(field, name, node), new.settings.get(name)
        value = before if after is None else after.value
        if value is not None and (after is not None or name in running.files.had):
            reason = f"back to the baseline: {other.name} is {other.neutral} again" if after is None else after.reason
            setting = after or Setting(field, "", value, "", reason, WRITE)
            yield Move(name, setting, None, value, reason)


def _of_class(above: Above, old: Decision, new: Decision, snapshot: Snapshot) -> Iterator[Difference]:
    node = snapshot.node

    def baseline(field: Field, name: str) -> Any:
        if (found := above.files.before_us(field, name, node)) is not None:
            return found
        if field.on_class:
            # kubelet sets these by the node's capacity, so a neutral value would be a bad guess.
            return getattr(above.resources, field.baseline)
        return baseline_value(field, above.resources, node)

    for move in moves(old, new, snapshot, baseline):
        if not reads_alike(move, node):
            route = RESCTRL if move.setting.field is fields.RDT_CLOSID else WRITE
            yield difference(names_of_class(above.cgroup), "", move, route, recorded=False)


def _of_running(
    pod: Pod, container: Container, old: Decision, new: Decision, snapshot: Snapshot
) -> Iterator[Difference]:
    node, baseline = snapshot.node, partial(asked, container, snapshot.node)

    def untouched(field: Field, _: str) -> Any:
        # A container with an empty cpuset follows its parent on v2. Once set, the cpuset cannot be emptied again: then it has all CPUs.
        follows = node.cgroup_version == 2 and field.whole and getattr(container.baseline, field.baseline) == ""
        return "" if follows else baseline(field, "")

    for move in moves(old, new, snapshot, baseline, untouched):
        field, route = move.setting.field, move.setting.route
        if route == RESCTRL:  # without a decision the threads go back to the root group
            yield difference(names_of_pod(pod), container.name, move, RESCTRL, recorded=False)
            continue
        # A value that cannot be unset stays as long as the container runs. But without a decision a cpuset becomes all CPUs, even if a
        # described node does not say which these are.
        stays = move.after is None and not (field is fields.CPU_CPUS and node.topology is None)
        yield difference(
            names_of_pod(pod), container.name, move, RESTART if stays else WRITE, recorded=route == REPLY and not stays
        )


def _of_creation(
    pod: Pod, container: Container, old: Decision, new: Decision, snapshot: Snapshot
) -> Iterator[Difference]:
    """Changes that a running container cannot follow."""
    routes = snapshot.node.routes(Event.SYNC)
    for move in moves(old, new, snapshot, lambda *_: None):
        if routes[move.setting.field].__class__ is Refusal:
            yield difference(names_of_pod(pod), container.name, move, RESTART, recorded=False)


def _remarks(running: Running, old: PodDecisions, new: PodDecisions) -> Iterator[Remark]:
    pod, names = running.pod, names_of_pod(running.pod)
    yield from _errors(names, "", old.own, new.own)
    for i, container in enumerate(running.containers):
        yield from _errors(names, container.name, old.following[i], new.following[i])
        decision, refused = new.created[i]
        if refused:
            # The refusal; it is also among the errors, with a shorter text.
            yield Remark(pod.namespace, pod.name, container.name, "", f"could not be created again: {refused}")
        yield from _errors(names, container.name, old.created[i][0], decision)


def _errors(names: Mapping[str, str], container: str, old: Decision, new: Decision) -> Iterator[Remark]:
    failing = {(e.hook, e.message) for e in new.errors}
    for error in new.errors:
        yield Remark(container=container, hook=error.hook, message=error.message, **names)
    for error in old.errors:
        if (error.hook, error.message) not in failing:
            message = f"under the old policy: {error.message}; what it left there is not known"
            yield Remark(container=container, hook=error.hook, message=message, **names)
