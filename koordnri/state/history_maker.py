"""Makes the lines of the history: from decisions of the event path, passes of the reconciler and refused files.

A field that is written into a file counts when it is written, with the values read before and after. One that the runtime is sent counts
when it is sent.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from koordnri.chain import Snapshot
from koordnri.model import Container, Decision, Event, Pod, Setting, fields
from koordnri.model.decision import NEW
from koordnri.model.difference import agree, baseline_value, is_stored
from koordnri.model.fields import split_name
from koordnri.model.routes import CONTROL, RESCTRL, WRITE
from koordnri.state.causes import Cause, FieldPlace, PassDone, SnapshotDifference, Written
from koordnri.state.history_line import HistoryLine, cut, plain

MOST_REMEMBERED = 4096
"""fields whose last value is remembered; also the pods whose name is"""
MOST_BORN = 512
"""pods whose last creation of a container is remembered"""
BIRTH_S = 10.0
"""s after the creation of a container: a first write in this time belongs to the creation"""
GIVEN_BACK = "given back: nothing decides it any more"
_CLOSID = fields.RDT_CLOSID.name
_CAUSES = {Event.CREATE: Cause.CREATION, Event.UPDATE: Cause.RESIZE, Event.SYNC: Cause.START}

Known = Mapping[tuple[str, str, str, str], Any]
"""namespace, pod, container, field → the value in the last line"""


class Decided(NamedTuple):
    """A container was decided, and the reply was sent."""

    time_s: float
    pod: Pod
    container: Container
    event: Event
    decision: Decision
    snapshot: Snapshot


class Passed(NamedTuple):
    """The reconciler has made a pass."""

    time_s: float
    done: PassDone


class FileRefusal(NamedTuple):
    """A file that did not take its value, even after retries."""

    place: FieldPlace
    value: Any
    error: str


class Refused(NamedTuple):
    """The same, with its time."""

    time_s: float
    one: FileRefusal
    snapshot: Snapshot


class _Last(NamedTuple):
    value: Any
    sent_by: Event | None
    """the event whose reply sent the value to the container; None: the value is in effect"""


class LineMaker:
    """Used under the history's lock. Remembers the last values of a bounded number of fields. Lines have no number yet.

    known   the last values in the history; asked for only when koordnri or the runtime has started
    """

    def __init__(self, known: Callable[[], Known]) -> None:
        self._known = known
        self._last: OrderedDict[tuple[str, str], _Last] = OrderedDict()
        """(id of the owner, field) → its last value"""
        self._born: OrderedDict[str, tuple[float, Snapshot]] = OrderedDict()
        """id of a pod → when its last container was created, and under which snapshot"""
        self._names: OrderedDict[str, str] = OrderedDict()
        """key of a pod with exclusive CPUs → its name for people"""

    def lines_of(self, what: Decided | Passed | Refused) -> Iterator[HistoryLine]:
        """The lines that follow from one decision, pass or refused file."""
        if isinstance(what, Decided):
            return self._of_decided(what)
        return self._of_pass(what) if isinstance(what, Passed) else self._of_refused(what)

    # -- the event path -----------------------------------------------------------------------------------------------

    def _of_decided(self, what: Decided) -> Iterator[HistoryLine]:
        pod, container, settings, node = what.pod, what.container, what.decision.settings, what.snapshot.node
        if pod.key in node.exclusive_cpus:
            _remember(self._names, pod.key, f"{pod.namespace}/{pod.name}", MOST_REMEMBERED)
        if what.event is Event.CREATE:
            self._note_birth(what)
            if node.resctrl is not None and _CLOSID not in settings:
                self._put((container.id, _CLOSID), "")
        namespace, pod_name, container_name = cut(pod.namespace), cut(pod.name), cut(container.name)
        cause, revision = _CAUSES[what.event].value, cut(what.snapshot.policy.revision)
        for name, setting in settings.items():
            if setting.route == WRITE:
                continue
            same, old = self._before(what, name, setting)
            self._put((container.id, name), setting.value, None if same else what.event)
            if not same:
                yield HistoryLine(
                    n=0,
                    time_s=what.time_s,
                    namespace=namespace,
                    pod=pod_name,
                    container=container_name,
                    field=cut(name),
                    cause=cause,
                    old=plain(old),
                    new=plain(setting.value),
                    hook=cut(setting.hook),
                    reason=cut(setting.reason),
                    revision=revision,
                )

    def _note_birth(self, what: Decided) -> None:
        born = self._born
        _remember(born, what.pod.id, (what.time_s, what.snapshot), MOST_BORN)
        while born and next(iter(born.values()))[0] < what.time_s - BIRTH_S:
            born.popitem(last=False)

    def _before(self, what: Decided, name: str, setting: Setting) -> tuple[bool, Any]:
        """(whether the container has the value already, what it has)."""
        container, field, node = what.container, setting.field, what.snapshot.node
        if what.event is Event.CREATE:
            old = None if field.keyed else baseline_value(field, container.baseline, node)
        elif (last := self._last.get((container.id, name))) is not None:
            old = last.value
        elif what.event is Event.SYNC and (place := (what.pod.namespace, what.pod.name, container.name, name)) in (
            known := self._known()
        ):
            old = known[place]
        elif setting.route == RESCTRL or is_stored(container.stored, setting, node):
            return True, None
        else:
            old = None if field.keyed else baseline_value(field, container.stored, node)
        return old is not None and agree(field, old, setting.value), old

    # -- the reconciler -----------------------------------------------------------------------------------------------

    def _of_pass(self, what: Passed) -> Iterator[HistoryLine]:
        time_s, done = what
        differences: dict[int, SnapshotDifference] = {}
        for one in (*done.written, *self._moved(done)):
            key, place = (one.owner_id, one.place.name), one.place
            last = self._last.get(key)
            self._put(key, one.after)
            sent_by = None if last is None or one.drift else _sent_by(last, one)
            if sent_by in (Event.UPDATE, Event.SYNC):
                continue  # its line says that it was sent; the reconciler was faster than the runtime
            born = None if place.pod is None else self._born.get(place.pod.id)
            # What a creation brings is complete only when its files are written, and the runtime may have set something else before.
            first = (last is None or sent_by is Event.CREATE) and born is not None and time_s < born[0] + BIRTH_S
            since = born[1] if born is not None and first else done.was
            difference = differences.get(id(since))
            if difference is None:
                difference = differences[id(since)] = SnapshotDifference(since, done.now, self._name_of)
            cause, detail = difference.cause(one, done.trigger, first=first)
            decision = done.decisions.get((place.kube_class if place.pod is None else place.pod.id, place.container))
            setting = None if decision is None else decision.in_files.get(place.name)
            if not one.drift and (done.trigger == "control" or (setting is not None and setting.route == CONTROL)):
                cause, detail = Cause.CONTROLLER, ""
            reason = GIVEN_BACK if one.restores else ""
            yield _line(time_s, place, cause, one.before, one.after, done.now, setting, detail, reason)

    def _moved(self, done: PassDone) -> Iterator[Written]:
        """Containers whose threads belong into another resctrl group than before."""
        for container_id, pod, name, group in done.groups:
            last = self._last.get((container_id, _CLOSID))
            if last is None:
                self._put((container_id, _CLOSID), group)
            elif last.value != group:
                yield Written(container_id, FieldPlace(pod, "", name, _CLOSID), last.value, group, restores=not group)

    def _name_of(self, key: str) -> str:
        return self._names.get(key, "another pod")

    def _of_refused(self, what: Refused) -> Iterator[HistoryLine]:
        one = what.one
        if split_name(one.place.name)[0] is not None:  # otherwise it is about the pod's cgroup as a whole
            yield _line(what.time_s, one.place, Cause.REFUSED, None, one.value, what.snapshot, None, one.error)

    def _put(self, key: tuple[str, str], value: Any, sent_by: Event | None = None) -> None:
        _remember(self._last, key, NEW(_Last, (value, sent_by)), MOST_REMEMBERED)


def _sent_by(last: _Last, one: Written) -> Event | None:
    """The event whose reply should have brought what was written now; None if it is another value."""
    field, _ = split_name(one.place.name)
    return last.sent_by if field is not None and agree(field, last.value, one.after) else None


def _line(
    time_s: float,
    place: FieldPlace,
    cause: Cause,
    old: Any,
    new: Any,
    snapshot: Snapshot,
    setting: Setting | None,
    detail: str,
    reason: str = "",
) -> HistoryLine:
    """`reason`: in place of the setting's, where there is none."""
    pod = place.pod
    return HistoryLine(
        n=0,
        time_s=time_s,
        namespace="" if pod is None else cut(pod.namespace),
        pod="" if pod is None else cut(pod.name),
        kube_class=place.kube_class,
        container=cut(place.container),
        field=cut(place.name),
        cause=cause.value,
        old=plain(old),
        new=plain(new),
        detail=cut(detail),
        hook="" if setting is None else cut(setting.hook),
        reason=cut(reason if setting is None else setting.reason),
        revision=cut(snapshot.policy.revision),
    )


def _remember(known: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    """Store it as the newest; forget the oldest when there are too many."""
    if key in known:
        known.move_to_end(key)
    known[key] = value
    if len(known) > most:
        known.popitem(last=False)
