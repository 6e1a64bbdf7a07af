"""Synchronize: after koordnri or the runtime was away, the runtime sends all that runs. Everything is decided again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from koordnri.cpus import restore
from koordnri.cpus.dra import dra_cpus
from koordnri.cpus.kubelet_pins import FoundPin
from koordnri.cpus.wish import may_wish
from koordnri.model import Container, Decision, Event, NodeState, Pod, Setting
from koordnri.model.allocated import NOT_ALLOCATED, Allocated
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.difference import asked_since, changes, rebased, restorations
from koordnri.model.resources import NOTHING, Note
from koordnri.reconcile.plan import Update
from koordnri.reconcile.recorder import HANDFUL
from koordnri.session.answer import Answer
from koordnri.session.decider import Decider, Inflight
from koordnri.session.encode import encode_update
from koordnri.session.exclusive_cpus import ExclusiveCPUsPort
from koordnri.session.given import given_to, has_volumes
from koordnri.session.known import Known, Sent
from koordnri.session.pods import Pods
from koordnri.state.entry import Entry
from koordnri.wire import api_pb2 as api
from koordnri.wire import views_pb2 as views


class _Decided(NamedTuple):
    pod: Pod
    container: Container
    decision: Decision
    note: Note | None
    """note to keep"""
    sent: Sent | None
    """values of ours that the runtime has, if they differ from the decision"""
    late: Mapping[str, Any]
    """field name → new baseline of a resize that nobody reported. Until now koordnri may have healed the file, or given it the former
    baseline back; where nothing is decided, it is given back once more"""


class Synchronize:
    """One Synchronize. Stored values that are not ours are kubelet's, asked for meanwhile; see `asked_since`.

    The whole node waits while the runtime applies this reply's updates. So it carries only a handful; the reconciler does the rest.
    """

    def __init__(
        self,
        decider: Decider,
        pods: Pods,
        cpus: ExclusiveCPUsPort | None,
        changed: Callable[[str | None], None],
        has_ended: Callable[[Pod], bool] = lambda pod: False,
    ) -> None:
        self._decider = decider
        self._pods = pods
        self._cpus = cpus
        self._changed = changed
        self._has_ended = has_ended
        self._allocated: Mapping[str, Allocated] = {}
        """container id → exclusive CPUs for its note"""
        self._snapshot = decider.snapshot
        self._response = api.SynchronizeResponse()
        self._decided: list[_Decided] = []
        self._unstarted: set[str] = set()
        self._ended: set[str] = set()

    def answer(self, pods: Iterable[views.PodSandbox], containers: Sequence[views.Container]) -> Answer:
        """Decide again, and ask for updates where values differ. `containers` of unknown pods are left alone."""
        decider = self._decider
        deadline_ns = decider.clock() + int(decider.budget_s() * 1e9)
        alive = {c.pod_sandbox_id for c in containers if c.state != api.CONTAINER_STOPPED}
        known = [p for p in map(self._pods.fresh, pods) if p.id in alive or not self._has_ended(p)]
        by_id = {p.id: p for p in known}
        if self._cpus is not None:
            self._restore_cpus(self._cpus, by_id, containers)
            self._snapshot = decider.snapshot
        self._unstarted = {c.id for c in containers if c.state == api.CONTAINER_CREATED}
        self._ended = {c.id for c in containers if c.state == api.CONTAINER_STOPPED}
        for message in containers:
            pod = by_id.get(message.pod_sandbox_id)
            if pod is not None and not self._decide(message, pod, deadline_ns):
                return Answer(self._response)
        decider.inflight = None
        return Answer(self._response, partial(self._settle, known, [c.id for c in containers]))

    def _restore_cpus(
        self, cpus: ExclusiveCPUsPort, pods: Mapping[str, Pod], containers: Iterable[views.Container]
    ) -> None:
        """Restore all exclusive CPUs, before anything is decided."""
        found, claims, pinned = [], [], []
        node, ledger = self._decider.snapshot.node, self._decider.ledger
        static = node.kubelet_cpu_policy == "static"
        for message in containers:
            pod = pods.get(message.pod_sandbox_id)
            if pod is None:
                continue
            baseline, noted, alive = NOTHING, NOT_ALLOCATED, message.state != api.CONTAINER_STOPPED
            if static or may_wish(pod):
                known = Known.of(message, pod, ledger, node)
                known.container.baseline = asked_since(
                    known.container.baseline, known.container.stored, node, known.ours
                )
                baseline, noted = known.container.baseline, known.note.allocated
                pinned.append(FoundPin(pod, known.container, not alive))
            found.append((message.id, restore.FoundHolding(pod, message.name, baseline, noted, None, alive)))
            if claimed := dra_cpus(message.env):
                claims.append((pod, message.name, claimed))
        self._allocated = cpus.restore(found, pinned)
        for claim in claims:
            cpus.claimed(*claim)

    def _decide(self, message: views.Container, pod: Pod, deadline_ns: int) -> bool:
        """False when a hook held us too long and `nri` has replied: then another thread decides now."""
        decider, response, node = self._decider, self._response, self._snapshot.node
        if has_volumes(pod, message.name):
            pod.given[message.name] = given_to(message)
        known = Known.of(message, pod, decider.ledger, decider.snapshot.node)
        if (allocated := self._allocated.get(message.id)) is not None and allocated != known.note.allocated:
            known = known.with_allocated(allocated)
        container = known.container
        before = container.baseline
        container.baseline = asked_since(before, container.stored, node, known.ours)
        late: Mapping[str, Any] = {}
        if container.baseline is not before and decider.ledger.container(container.id) is not None:
            late = rebased(before, container.baseline, node)
        ctx = decider.chain.context(pod, container, Event.SYNC, self._snapshot)
        mine = decider.inflight = Inflight(ctx, lambda made: (made, response), self._remember)
        decision = decider.chain.run(ctx, deadline_ns)
        if decider.inflight is not mine:
            return False
        decision, (differs, update) = decider.sendable(decision, node, partial(_difference, known, node))
        sent: Sent | None = None
        if differs and len(response.update) < HANDFUL:
            response.update.append(update)
        elif differs:
            sent = known.stored_of_ours(node)
        # A container that never differed from its annotation needs no note in the state directory.
        keep = differs or known.annotated or known.note.allocated or decider.ledger.noted_baseline(message.id)
        note = (known.note_if_sent(decision) if sent is None else known.note_if_unsent()) if keep else None
        self._decided.append(_Decided(pod, container, decision, note, sent, late))
        return True

    def _remember(self, _: Decision | None = None) -> None:
        for pod, container, decision, note, sent, late in self._decided:
            entry = Entry(container.id, container.name, pod.id, container.baseline)
            entry.started, entry.under = container.id not in self._unstarted, self._snapshot
            entry.ended = container.id in self._ended
            self._decider.ledger.remember(entry, decision, note, sent)
            for name, value in late.items():
                self._decider.ledger.wrote(container.id, name, value)

    def _settle(self, pods: Sequence[Pod], container_ids: Sequence[str]) -> None:
        self._decider.ledger.replace(pods, container_ids)
        if self._cpus is not None:
            for pod in map(self._pods.judged, pods):
                if RESOURCE_STATUS.key in pod.annotations:
                    self._cpus.pod_came(pod)
        self._remember()
        for decided in self._decided:
            self._decider.observer.decided(decided.pod, decided.container, Event.SYNC, decided.decision)
        self._changed(None)


def _difference(
    known: Known, node: NodeState, decision: Decision
) -> tuple[Decision, tuple[list[Setting], api.ContainerUpdate]]:
    """The part of a decision for a running container; the settings of it that the container lacks, and the update that would bring them."""
    container = known.container
    decision = known.let_wait(decision, node)
    settings = changes(decision, container.stored, node)
    settings += restorations(decision, container.baseline, container.stored, NOTHING, node, known.ours)
    update = Update(container.id, container.pod_id, tuple(settings), container.baseline.period_us)
    return decision, (settings, encode_update(update, node))
