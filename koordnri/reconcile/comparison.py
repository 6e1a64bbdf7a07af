"""What another policy would change of what runs, told before anybody applies it: the same decisions under both, and where they differ.

A running container follows by files that are written; what can only be set at a container's creation waits for a restart. What was
decided and is not any more goes back to the baseline. The JSON shapes are contracts: keys may be added to, never renamed.

    {"old": revision, "new": revision, "pods": how many were compared, "containers": likewise,
     "differences": [{"namespace", "pod", "container", "class", "group", "field", "unit", "before", "after", "route", "recorded",
                      "reason"}],
     "remarks": [{"namespace", "pod", "container", "class", "hook", "message"}],
     "notes": [what the new policy comes to on this node, where people may not expect it]}

Exclusive CPUs stay with what runs; what a policy would give, or give no more, is of route `restart`, as if the pods were created
anew one after the other.

`container` is null for the pod's own cgroup; `cpu.cpus` is then that of its sandbox, the pause container. `class` is null, but for a
cgroup above the pods: then it has the Kubernetes class ("Guaranteed" is the root of all pods, of whatever class; "root" that of all
cgroups), `namespace` and `pod` are "", and `container` is null. `group` is null, but for the schemata of a resctrl group: then it has
its name, and `namespace` and `pod` are those of the pod whose own group it is, else "". `before` and `after` are null where nothing is
set that we know of: for a field of the creation none of ours, for a cgroup what kubelet or the runtime had set, for schemata where the
group is not wanted.
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
"""The route of what cannot change before the container is created anew."""
_ANEW = "once its pod is created anew"
_SANDBOX = "sandbox: "
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_UNREAD = Reading(None, Status.GONE)

_Value = Callable[[Field, str], Any]
"""(field, its name in decisions) → value"""
_Target = tuple[Field, str]
"""A field, and of a keyed one the disk or the key: two names may stand for one disk."""


class Files(NamedTuple):
    """The files of one cgroup."""

    had: Mapping[str, Any] = _NOTHING
    """name of the field → what the file held before our first write, where that is known"""
    read: Callable[[Field, str], Reading] = lambda field, disk: _UNREAD
    """(field, `major:minor` or "") → what the file holds now"""

    def before_us(self, field: Field, name: str, node: NodeState) -> Any:
        """What the file holds without us; None where no file tells."""
        if name in self.had:
            return self.had[name]
        key = split_name(name)[1]
        return self.read(field, (node.block_devices or {}).get(key, key)).value


_NO_FILES = Files()


class Running(NamedTuple):
    """A pod that runs."""

    pod: Pod
    """with the resources that kubelet set on its cgroup"""
    containers: Sequence[Container] = ()
    files: Files = _NO_FILES
    """the pod's own; cpu.cpus is its sandbox's"""
    sandbox: bool = True
    """whether the pod's sandbox has a cgroup, as it has not where the runtime runs no pause container"""


class Above(NamedTuple):
    """A cgroup above the pods."""

    cgroup: ClassCgroup
    resources: Resources = NOTHING
    """as kubelet set them on it"""
    files: Files = _NO_FILES


class Difference(NamedTuple):
    """One field of one cgroup that does not stay as it is. `container` is "" for the pod's own cgroup."""

    namespace: str
    pod: str
    container: str
    field: str
    """with its key, as in decisions"""
    unit: str
    before: Any
    after: Any
    route: str
    """`write`: its file, effective at once; `resctrl`: its threads change groups, likewise; or `restart`"""
    recorded: bool
    """whether it is also recorded through the runtime, where the daemon has a route for that"""
    reason: str
    kube_class: str = ""
    """of a cgroup above the pods; then there is neither namespace nor pod"""
    group: str = ""
    """of resctrl, whose schemata change; then it has a pod where it is a pod's own"""

    def as_json(self) -> dict[str, Any]:
        """See the module."""
        return _shape(self) | {"group": self.group or None}


class Remark(NamedTuple):
    """Why the differences may not be all: a hook that could not decide. `container` as above."""

    namespace: str
    pod: str
    container: str
    hook: str
    message: str
    kube_class: str = ""

    def as_json(self) -> dict[str, Any]:
        """See the module."""
        return _shape(self)


class Comparison(NamedTuple):
    """What `compare` finds."""

    old: str
    """revision of the policy"""
    new: str
    pods: int
    containers: int
    differences: list[Difference]
    remarks: list[Remark]
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        """See the module."""
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
    """`restart`, or what came of the write: see koordnri.host.cgroup.change.Status"""
    error: str = ""
    kube_class: str = ""

    @property
    def place(self) -> tuple[bool, str, str, str, str, str]:
        """To sort by: pods with their containers, then what is above them."""
        return bool(self.kube_class), self.namespace, self.pod, self.kube_class, self.container, self.field

    def as_json(self) -> dict[str, Any]:
        """Names as above, `container` null for the pod's own cgroup, `class` null but for one above the pods."""
        return _shape(self)


def _shape(row: Difference | Remark | Released) -> dict[str, Any]:
    shape = {key: plain_value(value) for key, value in row._asdict().items()}
    kube_class = shape.pop("kube_class")
    return shape | {"container": row.container or None, "class": kube_class or None}


class _Decided(NamedTuple):
    """A pod under one policy."""

    own: Decision
    following: list[Decision]
    """of its containers, as they run"""
    created: list[tuple[Decision, str]]
    """of its containers, were they created now; and why that would be refused"""
    anew: Decision
    """of the pod's own cgroup, were it created now"""


class _Move(NamedTuple):
    """A field that does not stay as it is."""

    name: str
    setting: Setting
    """the new one, else the one that is no more"""
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

    above   what is known of the cgroups above the pods
    given   CPUs that the node has given to single containers; not changed. None: it gives none
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
    # Everything under one policy, then under the other: the chain plans anew for each change of policy.
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
    """What a policy comes to on a node, where people may not expect it. `node`: what is wrong there without this policy."""
    return [*snapshot.policy.notes, *(p for p in snapshot.node.problems if p not in node.problems)]


def _promoted(running: Iterable[Running], snapshot: Snapshot, given: Allocator) -> Allocator:
    """What those who run and share would be given under a policy."""
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
    """The moves of a pod that is idle before or after: the kernel has no shares for it, and later they are set anew."""
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
            # By what the node can give to pods, so that no neutral value is a good guess.
            return getattr(above.resources, field.baseline)
        return baseline_value(field, above.resources, node)

    for move in _moves(old, new, snapshot, baseline):
        if not _reads_alike(move, node):
            yield _difference(names_of_class(above.cgroup), "", move, WRITE, recorded=False)


def _of_groups(pods: Sequence[Pod], old: Snapshot, new: Snapshot) -> Iterator[Difference]:
    """What the resctrl groups are to have of caches and memory bandwidth."""
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
    """Whether a file has both values at once: one of them may come from a file, rounded to pages or made of a weight."""
    spelled = form(move.setting.field, node.cgroup_version)
    if spelled is None or move.before is None or move.after is None:
        return False
    try:
        return spelled.same(move.before, move.after) or spelled.same(move.after, move.before)
    except (TypeError, ValueError):  # see _same; and what no file takes differs from all that it may have
        return False


def _of_running(
    pod: Pod, container: Container, old: Decision, new: Decision, snapshot: Snapshot
) -> Iterator[Difference]:
    node, baseline = snapshot.node, partial(_asked, container, snapshot.node)

    def untouched(field: Field, _: str) -> Any:
        # A container with an empty cpuset follows its parent on v2. It never can again: lifting means all CPUs.
        follows = node.cgroup_version == 2 and field.whole and getattr(container.baseline, field.baseline) == ""
        return "" if follows else baseline(field, "")

    for move in _moves(old, new, snapshot, baseline, untouched):
        field, route = move.setting.field, move.setting.route
        if route == RESCTRL:  # what is no more decided goes back to the root group, which is none of ours
            yield _difference(names_of_pod(pod), container.name, move, RESCTRL, recorded=False)
            continue
        # What cannot be unset stays as long as the container runs. But a lifted CPU set becomes that of all CPUs, even where
        # a node that is only described does not tell which these are.
        stays = move.after is None and not (field is fields.CPU_CPUS and node.topology is None)
        yield _difference(
            names_of_pod(pod), container.name, move, RESTART if stays else WRITE, recorded=route == REPLY and not stays
        )


def _of_creation(
    pod: Pod, container: Container, old: Decision, new: Decision, snapshot: Snapshot
) -> Iterator[Difference]:
    """What a running container cannot follow in."""
    routes = snapshot.node.routes(Event.SYNC)
    for move in _moves(old, new, snapshot, lambda *_: None):
        if routes[move.setting.field].__class__ is Refusal:
            yield _difference(names_of_pod(pod), container.name, move, RESTART, recorded=False)


def _gets_other_cpus(pod: Pod, old: Creation, new: Creation) -> bool:
    """Whether the policies would give different CPUs to the pod alone, were it created anew."""
    return old.given.get(pod.key) != new.given.get(pod.key)


def _of_exclusive_cpus(running: Running, becomes: _Decided, snapshot: Snapshot, anew: Creation) -> Iterator[Difference]:
    """What the pod would get by exclusive CPUs, or without them, and cannot have while it runs."""
    pod, node = running.pod, snapshot.node
    if any(refusal for _, refusal in becomes.created):
        return  # it would get nothing; a remark tells
    of_pod = _moves(becomes.own, becomes.anew, snapshot, _baseline_of_pod(running, node))
    # Not of its sandbox, which has what others share, like all others.
    moves = [("", becomes.anew, move) for move in of_pod if move.setting.field is not fields.CPU_CPUS]
    routes = node.routes(Event.SYNC)
    owners = {**node.exclusive_cpus.get(pod.key, {}), **anew.given.get(pod.key, {})}
    for container, follows, (created, _) in zip(running.containers, becomes.following, becomes.created, strict=True):
        if container.name not in owners:
            continue
        found = _moves(follows, created, snapshot, partial(_asked, container, node))
        # The others: see _of_creation.
        moves += [(container.name, created, move) for move in found if routes[move.setting.field] == REPLY]
    for name, then, move in moves:
        reason = move.reason if move.name in then.settings else "nothing of ours, without exclusive CPUs"
        move = move._replace(reason=f"{_ANEW}: {reason}")
        yield _difference(names_of_pod(pod), name, move, RESTART, recorded=False)


def _short(running: Running, old: Creation, new: Creation) -> Iterator[Remark]:
    """Of those who would be given exclusive CPUs under the old policy alone."""
    pod = running.pod
    for container in running.containers:
        if container.name in old.given.get(pod.key, ()) and (shortage := new.shortage(pod, container.name)):
            yield Remark(pod.namespace, pod.name, container.name, "cpuset", f"{_ANEW}: {shortage}")


def _asked(container: Container, node: NodeState, field: Field, _: str) -> Any:
    return baseline_value(field, container.baseline, node)


def _moves(
    old: Decision, new: Decision, snapshot: Snapshot, baseline: _Value, untouched: _Value | None = None
) -> Iterator[_Move]:
    """Fields whose value is not the same under both decisions.

    baseline    what a field goes back to that is decided no more
    untouched   what a field has that was not decided so far; None: the baseline

    A hook that fails has not said that it wants nothing: its fields stay as they are.
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
    """A disk that is gone took its limits with it."""
    return setting.field.of_disk and node.block_devices is not None and setting.key not in node.block_devices


def _why(name: str, setting: Setting, new: Decision, snapshot: Snapshot) -> str:
    if said := new.skipped.get(name) or new.skipped.get(setting.hook):
        return said
    if snapshot.policy.hook_mode(setting.hook) == "observe":
        return f"hook {setting.hook} is only observed"
    return "no longer decided"


def _same(field: Field, a: Any, b: Any) -> bool:
    """What a third party's hook decides may be of another type than the baseline."""
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
            # The one that refuses; it stands among the errors, too, in fewer words.
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
