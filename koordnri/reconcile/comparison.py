"""What another policy would change of running containers, before it is applied: decides under both policies, and compares.

A running container follows by files that are written. What only a creation can set waits for a restart. What is not decided any more goes
back to the baseline. The JSON shapes are contracts: keys may be added, never renamed.

    {"old": revision, "new": revision, "pods": number of compared pods, "containers": likewise,
     "differences": [{"namespace", "pod", "container", "class", "group", "field", "unit", "before", "after", "route", "recorded",
                      "reason"}],
     "remarks": [{"namespace", "pod", "container", "class", "hook", "message"}],
     "notes": [what the new policy does on this node that people may not expect]}

Running containers keep their exclusive CPUs. Exclusive CPUs that a policy would give or not give have the route `restart`, as if the pods
were created again one after the other.

`container` is null for the pod's own cgroup; `cpu.cpus` is then that of its sandbox, the pause container. `class` is null except for a
cgroup above the pods: then it has the Kubernetes class ("Guaranteed" is the cgroup of all pods, of whatever class; "root" that of all
cgroups), `namespace` and `pod` are "", and `container` is null. `group` is null except for the schemata of a resctrl group: then it has
its name, and `namespace` and `pod` are those of its pod if it is a pod's own group, else "". `before` and `after` are null where nothing is
known to be set: for a field of the creation nothing of ours, for a cgroup the value of kubelet or the runtime, for schemata no wanted
group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from koordnri.chain import Chain, Refused, Snapshot
from koordnri.cpus.allocator import Allocator
from koordnri.cpus.creation import Creation, create, promote
from koordnri.host.cgroup.change import Reading, Status
from koordnri.host.cgroup.spelling import form
from koordnri.model import Container, Decision, Event, Field, NodeState, Pod, Setting, fields
from koordnri.model.annotations import RESCTRL_KEY
from koordnri.model.class_cgroup import ClassCgroup
from koordnri.model.difference import baseline_value
from koordnri.model.fields import split_name
from koordnri.model.plain import plain_value
from koordnri.model.resources import NOTHING, Resources
from koordnri.model.routes import REPLY, RESCTRL, WRITE, Refusal
from koordnri.model.schemata import line
from koordnri.reconcile.classes import decide_classes
from koordnri.reconcile.owner import names_of_class, names_of_pod
from koordnri.resctrl.plan import Wanted, plan

RESTART = "restart"
"""Route of a field that cannot change before the container is created again."""
_ANEW = "once its pod is created anew"
_SANDBOX = "sandbox: "
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_UNREAD = Reading(None, Status.GONE)

_Value = Callable[[Field, str], Any]
"""(field, its name in decisions) → value"""
_Target = tuple[Field, str]
"""A field with its disk or key: two names may stand for one disk."""


class Files(NamedTuple):
    """The files of one cgroup."""

    had: Mapping[str, Any] = _NOTHING
    """field name → what the file held before our first write, if known"""
    read: Callable[[Field, str], Reading] = lambda field, disk: _UNREAD
    """(field, `major:minor` or "") → what the file holds now"""

    def before_us(self, field: Field, name: str, node: NodeState) -> Any:
        """The file's value without us; None when no file shows it."""
        if name in self.had:
            return self.had[name]
        key = split_name(name)[1]
        return self.read(field, (node.block_devices or {}).get(key, key)).value


_NO_FILES = Files()


class Running(NamedTuple):
    """A running pod."""

    pod: Pod
    """with the resources that kubelet set on its cgroup"""
    containers: Sequence[Container] = ()
    files: Files = _NO_FILES
    """the pod's own; cpu.cpus is its sandbox's"""
    sandbox: bool = True
    """whether the sandbox has a cgroup; not if the runtime runs no pause container"""


class Above(NamedTuple):
    """A cgroup above the pods."""

    cgroup: ClassCgroup
    resources: Resources = NOTHING
    """as kubelet set them"""
    files: Files = _NO_FILES


class Difference(NamedTuple):
    """One field of one cgroup that would change. `container` is "" for the pod's own cgroup."""

    namespace: str
    pod: str
    container: str
    field: str
    """with its key, as in decisions"""
    unit: str
    before: Any
    after: Any
    route: str
    """`write`: the file, effective at once; `resctrl`: its threads change groups at once; or `restart`"""
    recorded: bool
    """whether it is also recorded in the runtime's stored spec, if the daemon has a route for that"""
    reason: str
    kube_class: str = ""
    """class of a cgroup above the pods; then namespace and pod are empty"""
    group: str = ""
    """resctrl group whose schemata change; with a pod if it is that pod's own group"""

    def as_json(self) -> dict[str, Any]:
        """The shape described in the module."""
        return _shape(self) | {"group": self.group or None}


class Remark(NamedTuple):
    """Why the differences may be incomplete: a hook that could not decide. `container` as in Difference."""

    namespace: str
    pod: str
    container: str
    hook: str
    message: str
    kube_class: str = ""

    def as_json(self) -> dict[str, Any]:
        """The shape described in the module."""
        return _shape(self)


class Comparison(NamedTuple):
    """Result of `compare`."""

    old: str
    """revision of the policy"""
    new: str
    pods: int
    containers: int
    differences: list[Difference]
    remarks: list[Remark]
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        """The shape described in the module."""
        return self._asdict() | {
            "differences": [d.as_json() for d in self.differences],
            "remarks": [r.as_json() for r in self.remarks],
        }


class Released(NamedTuple):
    """One field of one cgroup that was given back to kubelet, or could not be. Names as in Difference."""

    namespace: str
    pod: str
    container: str
    field: str
    before: Any
    after: Any
    """as read back from the file"""
    status: str
    """`restart`, or the outcome of the write: koordnri.host.cgroup.change.Status"""
    error: str = ""
    kube_class: str = ""

    @property
    def place(self) -> tuple[bool, str, str, str, str, str]:
        """Sort key: pods with their containers first, then the cgroups above."""
        return bool(self.kube_class), self.namespace, self.pod, self.kube_class, self.container, self.field

    def as_json(self) -> dict[str, Any]:
        """Keys as above; `container` is null for the pod's own cgroup, `class` except for a cgroup above the pods."""
        return _shape(self)


def _shape(row: Difference | Remark | Released) -> dict[str, Any]:
    shape = {key: plain_value(value) for key, value in row._asdict().items()}
    kube_class = shape.pop("kube_class")
    return shape | {"container": row.container or None, "class": kube_class or None}


class _Decided(NamedTuple):
    """A pod under one policy."""

    own: Decision
    following: list[Decision]
    """of its containers as they run"""
    created: list[tuple[Decision, str]]
    """of its containers if they were created now, and why that would be refused"""
    anew: Decision
    """of the pod's own cgroup if it were created now"""


class _Move(NamedTuple):
    """A field that would change."""

    name: str
    setting: Setting
    """the new setting; the old one if there is no new one"""
    before: Any
    after: Any
    reason: str


def compare(
    chain: Chain,
    running: Iterable[Running],
    old: Snapshot,
    new: Snapshot,
    above: Iterable[Above] = (),
    given: Allocator | None = None,
) -> Comparison:
    """Decide everything that runs under both snapshots of one node. Nobody else may use `chain` meanwhile.

    above   the cgroups above the pods
    given   the holdings of exclusive CPUs; not changed. None: there are none
    """
    running, known = list(running), {one.cgroup.qos: one for one in above}
    pods = [one.pod for one in running]
    if given is not None:
        given = given.copy()
        for pod in pods:
            given.note_pod(pod)
    anew_old, anew_new = (_created_anew(running, snapshot, given) for snapshot in (old, new))
    if given is not None:
        old, new = _applied(given, old), _applied(_promoted(running, new, given), new)
    # First everything under one policy, then under the other, because the chain plans again at each change of policy.
    before = [_decide(chain, one, old, anew_old) for one in running]
    classes_before = {one.qos: decision for one, decision in decide_classes(chain, pods, old)}
    after = [_decide(chain, one, new, anew_new) for one in running]
    classes_after = decide_classes(chain, pods, new)
    differences: list[Difference] = []
    remarks: dict[Remark, None] = {}
    for one, was, becomes in zip(running, before, after, strict=True):
        remarks |= dict.fromkeys(_remarks(one, was, becomes))
        differences += _of_pod(one, was.own, becomes.own, new)
        for i, container in enumerate(one.containers):
            differences += _of_running(one.pod, container, was.following[i], becomes.following[i], new)
            differences += _of_creation(one.pod, container, was.created[i][0], becomes.created[i][0], new)
        if _gets_other_cpus(one.pod, anew_old, anew_new):
            differences += _of_exclusive_cpus(one, becomes, new, anew_new)
            remarks |= dict.fromkeys(_short(one, anew_old, anew_new))
    for cgroup, decision in classes_after:
        was_decided = classes_before[cgroup.qos]
        remarks |= dict.fromkeys(_errors(names_of_class(cgroup), "", was_decided, decision))
        differences += _of_class(known.get(cgroup.qos, Above(cgroup)), was_decided, decision, new)
    differences += _of_groups(pods, old, new)
    containers = sum(len(one.containers) for one in running)
    revisions, notes = (old.policy.revision, new.policy.revision), notes_of(new, old.node)
    return Comparison(*revisions, len(running), containers, differences, list(remarks), notes)


def notes_of(snapshot: Snapshot, node: NodeState) -> list[str]:
    """What a policy does on a node that people may not expect. `node`: without this policy."""
    return [*snapshot.policy.notes, *(p for p in snapshot.node.problems if p not in node.problems)]


def _promoted(running: Iterable[Running], snapshot: Snapshot, given: Allocator) -> Allocator:
    """The allocator after promoting running containers under a policy."""
    given = given.copy()
    promote([(one.pod, one.containers) for one in running], snapshot, given)
    given.arrive(given.coming())
    return given


def _applied(given: Allocator, snapshot: Snapshot) -> Snapshot:
    return snapshot._replace(node=given.applied(snapshot.node, snapshot.policy.cpuset))


def _created_anew(running: Sequence[Running], snapshot: Snapshot, given: Allocator | None) -> Creation:
    if given is None:
        return Creation(snapshot, {}, {})
    pods = [(one.pod, one.containers) for one in running]
    return create(pods, snapshot, given.copy(), [pod for pod, _ in pods])


def _decide(chain: Chain, running: Running, snapshot: Snapshot, anew: Creation) -> _Decided:
    pod = running.pod
    return _Decided(
        chain.decide_pod(pod, snapshot, running.containers),
        [chain.decide_container(pod, container, Event.SYNC, snapshot) for container in running.containers],
        [_create(chain, pod, container, anew) for container in running.containers],
        chain.decide_pod(pod, anew.snapshot, running.containers),
    )


def _create(chain: Chain, pod: Pod, container: Container, anew: Creation) -> tuple[Decision, str]:
    try:
        decision = chain.decide_container(pod, container, Event.CREATE, anew.snapshot)
    except Refused as refused:
        return refused.decision, str(refused)
    return decision, anew.refusal(pod, container.name)


def _of_pod(running: Running, old: Decision, new: Decision, snapshot: Snapshot) -> Iterator[Difference]:
    moves = _moves(old, new, snapshot, _baseline_of_pod(running, snapshot.node))
    for move in _with_idle(moves, running, old, new, snapshot.node):
        if move.setting.field is fields.CPU_CPUS:
            if not running.sandbox:
                continue
            if not move.reason.startswith(_SANDBOX):
                move = move._replace(reason=_SANDBOX + move.reason.replace(_SANDBOX, ""))
        if not _reads_alike(move, snapshot.node):
            yield _difference(names_of_pod(running.pod), "", move, WRITE, recorded=False)


def _with_idle(
    moves: Iterable[_Move], running: Running, old: Decision, new: Decision, node: NodeState
) -> Iterator[_Move]:
    """The changes of a pod that is idle before or after: an idle cgroup has no shares, and afterwards they are set again."""
    was, becomes = old.value(fields.CPU_IDLE), new.value(fields.CPU_IDLE)
    name = fields.CPU_SHARES.name
    yield from (move for move in moves if move.name != name or not (was or becomes))
    if was and not becomes and fields.CPU_IDLE not in new.undecided:
        before, after = running.files.before_us(fields.CPU_SHARES, name, node), new.settings.get(name)
        value = before if after is None else after.value
        if value is not None and (after is not None or name in running.files.had):
            reason = "back to the baseline: not idle any more" if after is None else after.reason
            setting = after or Setting(fields.CPU_SHARES, "", value, "", reason, WRITE)
            yield _Move(name, setting, None, value, reason)


def _baseline_of_pod(running: Running, node: NodeState) -> _Value:
    def baseline(field: Field, name: str) -> Any:
        found = running.files.before_us(field, name, node)
        return baseline_value(field, running.pod.resources, node) if found is None else found

    return baseline


def _of_class(above: Above, old: Decision, new: Decision, snapshot: Snapshot) -> Iterator[Difference]:
    node = snapshot.node

    def baseline(field: Field, name: str) -> Any:
        if (found := above.files.before_us(field, name, node)) is not None:
            return found
        if field.on_class:
            # kubelet sets these by the node's capacity, so a neutral value would be a bad guess.
            return getattr(above.resources, field.baseline)
        return baseline_value(field, above.resources, node)

    for move in _moves(old, new, snapshot, baseline):
        if not _reads_alike(move, node):
            yield _difference(names_of_class(above.cgroup), "", move, WRITE, recorded=False)


def _of_groups(pods: Sequence[Pod], old: Snapshot, new: Snapshot) -> Iterator[Difference]:
    """Changes of the resctrl groups' schemata."""
    resctrl = new.node.resctrl
    if resctrl is None or resctrl.read_only:
        return
    was, becomes = (plan(pods, snapshot.policy, snapshot.node).groups for snapshot in (old, new))
    for group, wanted in {**becomes, **was, **becomes}.items():
        before, after = (_lines_of(groups.get(group)) for groups in (was, becomes))
        owner = {"namespace": "", "pod": ""} if wanted.pod is None else names_of_pod(wanted.pod)
        for resource in dict.fromkeys((*after, *before)):
            if before.get(resource) != after.get(resource):
                yield Difference(
                    container="",
                    field=f"schemata[{resource}]",
                    unit="bits of ways by cache id" if resource.startswith("L") else "bandwidth by cache id",
                    before=before.get(resource),
                    after=after.get(resource),
                    route=RESCTRL,
                    recorded=False,
                    reason=_reason_of(wanted, group in becomes),
                    group=group,
                    **owner,
                )


def _lines_of(wanted: Wanted | None) -> dict[str, str]:
    """Resource → its line, as `0=7ff;1=7ff`."""
    lines = {} if wanted is None else wanted.schemata.lines
    return {name: line(name, values).strip().removeprefix(f"{name}:").rstrip(";") for name, values in lines.items()}


def _reason_of(wanted: Wanted, stays: bool) -> str:
    if not stays:
        return "the group is not wanted any more"
    return f"resctrlQOS of {wanted.qos}" if wanted.pod is None else f"annotation {RESCTRL_KEY}"


def _reads_alike(move: _Move, node: NodeState) -> bool:
    """Whether a file would read the same for both values: one may come from a file, rounded to pages or made from a weight."""
    spelled = form(move.setting.field, node.cgroup_version)
    if spelled is None or move.before is None or move.after is None:
        return False
    try:
        return spelled.same(move.before, move.after) or spelled.same(move.after, move.before)
    except (TypeError, ValueError):  # see _same; a value that no file accepts differs from every file's value
        return False


def _of_running(
    pod: Pod, container: Container, old: Decision, new: Decision, snapshot: Snapshot
) -> Iterator[Difference]:
    node, baseline = snapshot.node, partial(_asked, container, snapshot.node)

    def untouched(field: Field, _: str) -> Any:
        # A container with an empty cpuset follows its parent on v2. Once set, the cpuset cannot be emptied again: then it has all CPUs.
        follows = node.cgroup_version == 2 and field.whole and getattr(container.baseline, field.baseline) == ""
        return "" if follows else baseline(field, "")

    for move in _moves(old, new, snapshot, baseline, untouched):
        field, route = move.setting.field, move.setting.route
        if route == RESCTRL:  # without a decision the threads go back to the root group
            yield _difference(names_of_pod(pod), container.name, move, RESCTRL, recorded=False)
            continue
        # A value that cannot be unset stays as long as the container runs. But without a decision a cpuset becomes all CPUs, even if a
        # described node does not say which these are.
        stays = move.after is None and not (field is fields.CPU_CPUS and node.topology is None)
        yield _difference(
            names_of_pod(pod), container.name, move, RESTART if stays else WRITE, recorded=route == REPLY and not stays
        )


def _of_creation(
    pod: Pod, container: Container, old: Decision, new: Decision, snapshot: Snapshot
) -> Iterator[Difference]:
    """Changes that a running container cannot follow."""
    routes = snapshot.node.routes(Event.SYNC)
    for move in _moves(old, new, snapshot, lambda *_: None):
        if routes[move.setting.field].__class__ is Refusal:
            yield _difference(names_of_pod(pod), container.name, move, RESTART, recorded=False)


def _gets_other_cpus(pod: Pod, old: Creation, new: Creation) -> bool:
    """Whether the policies would give the pod different exclusive CPUs if it were created again."""
    return old.given.get(pod.key) != new.given.get(pod.key)


def _of_exclusive_cpus(running: Running, becomes: _Decided, snapshot: Snapshot, anew: Creation) -> Iterator[Difference]:
    """What would change by exclusive CPUs, or without them, if the pod were created again."""
    pod, node = running.pod, snapshot.node
    if any(refusal for _, refusal in becomes.created):
        return  # it would get nothing; a remark says so
    of_pod = _moves(becomes.own, becomes.anew, snapshot, _baseline_of_pod(running, node))
    # Not cpu.cpus of its sandbox, which is in the share pool like all sandboxes.
    moves = [("", becomes.anew, move) for move in of_pod if move.setting.field is not fields.CPU_CPUS]
    routes = node.routes(Event.SYNC)
    owners = {**node.exclusive_cpus.get(pod.key, {}), **anew.given.get(pod.key, {})}
    for container, follows, (created, _) in zip(running.containers, becomes.following, becomes.created, strict=True):
        if container.name not in owners:
            continue
        found = _moves(follows, created, snapshot, partial(_asked, container, node))
        # Other routes: see _of_creation.
        moves += [(container.name, created, move) for move in found if routes[move.setting.field] == REPLY]
    for name, then, move in moves:
        reason = move.reason if move.name in then.settings else "nothing of ours, without exclusive CPUs"
        move = move._replace(reason=f"{_ANEW}: {reason}")
        yield _difference(names_of_pod(pod), name, move, RESTART, recorded=False)


def _short(running: Running, old: Creation, new: Creation) -> Iterator[Remark]:
    """Remarks for containers that would get exclusive CPUs only under the old policy."""
    pod = running.pod
    for container in running.containers:
        if container.name in old.given.get(pod.key, ()) and (shortage := new.shortage(pod, container.name)):
            yield Remark(pod.namespace, pod.name, container.name, "cpuset", f"{_ANEW}: {shortage}")


def _asked(container: Container, node: NodeState, field: Field, _: str) -> Any:
    return baseline_value(field, container.baseline, node)


def _moves(
    old: Decision, new: Decision, snapshot: Snapshot, baseline: _Value, untouched: _Value | None = None
) -> Iterator[_Move]:
    """Fields whose values differ under the two decisions.
    baseline    value that a field goes back to when it is not decided any more
    untouched   value of a field that was not decided so far; None: the baseline

    A failed hook did not say that it wants nothing: its fields stay as they are.
    """
    was, becomes = _by_target(old, snapshot.node), _by_target(new, snapshot.node)
    for target in dict.fromkeys((*becomes, *was)):
        before, after = was.get(target), becomes.get(target)
        if after is not None:
            name, setting = after
            value, reason = setting.value, setting.reason
        else:
            name, setting = was[target]
            if setting.field in new.undecided or _is_gone(setting, snapshot.node):
                continue
            value, reason = baseline(setting.field, name), f"back to the baseline: {_why(name, setting, new, snapshot)}"
        field, had = setting.field, None
        if before is not None:
            had = before[1].value
        elif field not in old.undecided:
            had = (untouched or baseline)(field, name)
        if had is None or value is None or not _same(field, had, value):
            yield _Move(name, setting, had, value, reason)


def _by_target(decision: Decision, node: NodeState) -> dict[_Target, tuple[str, Setting]]:
    disks = node.block_devices or {}
    return {(s.field, disks.get(s.key, s.key)): (name, s) for name, s in decision.settings.items()}


def _is_gone(setting: Setting, node: NodeState) -> bool:
    """A disk that vanished took its limits with it."""
    return setting.field.of_disk and node.block_devices is not None and setting.key not in node.block_devices


def _why(name: str, setting: Setting, new: Decision, snapshot: Snapshot) -> str:
    if said := new.skipped.get(name) or new.skipped.get(setting.hook):
        return said
    if snapshot.policy.hook_mode(setting.hook) == "observe":
        return f"hook {setting.hook} is only observed"
    return "no longer decided"


def _same(field: Field, a: Any, b: Any) -> bool:
    """Whether two values are equal. A third party's hook may give another type than the baseline's."""
    try:
        return field.same(a, b)
    except TypeError:
        return False


def _difference(names: Mapping[str, str], container: str, move: _Move, route: str, recorded: bool) -> Difference:
    return Difference(
        container=container,
        field=move.name,
        unit=move.setting.field.unit,
        before=move.before,
        after=move.after,
        route=route,
        recorded=recorded,
        reason=move.reason,
        **names,
    )


def _remarks(running: Running, old: _Decided, new: _Decided) -> Iterator[Remark]:
    pod, names = running.pod, names_of_pod(running.pod)
    yield from _errors(names, "", old.own, new.own)
    for i, container in enumerate(running.containers):
        yield from _errors(names, container.name, old.following[i], new.following[i])
        decision, refused = new.created[i]
        if refused:
            # The refusal; it is also among the errors, with a shorter text.
            yield Remark(pod.namespace, pod.name, container.name, "", f"could not be created anew: {refused}")
        yield from _errors(names, container.name, old.created[i][0], decision)


def _errors(names: Mapping[str, str], container: str, old: Decision, new: Decision) -> Iterator[Remark]:
    failing = {(e.hook, e.message) for e in new.errors}
    for error in new.errors:
        yield Remark(container=container, hook=error.hook, message=error.message, **names)
    for error in old.errors:
        if (error.hook, error.message) not in failing:
            message = f"under the old policy: {error.message}; what it left there is not known"
            yield Remark(container=container, hook=error.hook, message=message, **names)
