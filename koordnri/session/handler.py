"""Turns one request of the runtime into its reply: messages to contexts, contexts to the chain, the decision to a message.

This is the event path: the whole node's container creation waits here. No I/O; what can be done after the reply is returned
as a second step (`settle`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from google.protobuf.message import Message

from koordnri.chain import Chain, Refused, Snapshot
from koordnri.kubelet_pins import Found
from koordnri.ledger import Entry, Ledger
from koordnri.model import Container, ContainerContext, Decision, Event, NodeState, Pod, Setting, fields
from koordnri.model.annotations import BLKIO_QOS_KEY, RESOURCE_STATUS
from koordnri.model.cpu_wish import may_wish
from koordnri.model.difference import asked_since, changes, restorations, through_runtime
from koordnri.model.dra import PREFIX as DRA_PREFIX
from koordnri.model.dra import dra_cpus
from koordnri.model.pod import PodSpec
from koordnri.model.resources import BASELINE_KEY, NOTHING, Note, encode_note
from koordnri.model.routes import REPLY, WRITE
from koordnri.reconcile.plan import Update
from koordnri.reconcile.recorder import HANDFUL, Recorder
from koordnri.session.answer import NOTHING_TO_SAY, Answer
from koordnri.session.encode import drop_unsendable, encode_update, put_adjustment, put_resources
from koordnri.session.given import given_to, has_volumes
from koordnri.session.known import Known, Sent
from koordnri.session.observer import Observer
from koordnri.session.own_cpus import OwnCPUs
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.session.translate import pod_from, resources_from
from koordnri.wire import api_pb2 as api
from koordnri.wire import events
from koordnri.wire import views_pb2 as views

T = TypeVar("T")
_DRA = DRA_PREFIX.encode()
MOST_SNAPSHOTS = 2
"""A policy that changes while a creation waits for its pod's files is waited for once more."""
SUBSCRIBED = (
    events.Event.RUN_POD_SANDBOX,
    events.Event.REMOVE_POD_SANDBOX,
    events.Event.CREATE_CONTAINER,
    events.Event.START_CONTAINER,
    events.Event.UPDATE_CONTAINER,
    events.Event.REMOVE_CONTAINER,
)
"""Every event subscribed to costs the node about 0.1 ms: only those that carry something for us."""


class Inflight(NamedTuple):
    """What is being decided right now, for whoever must answer in our place."""

    ctx: ContainerContext
    finish: Callable[[Decision], Message]
    record: Callable[[Decision], None]
    """keeps in the ledger what `finish` made a message of"""


class EventHandler:
    """One per daemon; used by the thread that reads the socket. `snapshot` is swapped by others, one assignment at a time.

    specs     pod uid → what NRI does not tell of the pod; empty where the API server is not consulted
    overlay   adds to a pod what others than the runtime know of it
    changed   told, after the reply, of a pod whose own cgroup has to follow, or None for all; must not block
    """

    def __init__(
        self,
        chain: Chain,
        ledger: Ledger,
        snapshot: Snapshot,
        observer: Observer,
        specs: Mapping[str, PodSpec] = MappingProxyType({}),
        changed: Callable[[str | None], None] = lambda pod_id: None,
        overlay: Callable[[Pod], Pod] = lambda pod: pod,
        recorder: Recorder | None = None,
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.snapshot = snapshot
        self.runtime = RuntimeInfo()
        self.overruns = 0
        """events answered with an incomplete decision because the chain's budget was used up"""
        self.inflight: Inflight | None = None
        self.catch_up: Callable[[Pod, Snapshot, float], None] | None = None
        """waits until a pod's files have what follows from a snapshot, at most so many seconds"""
        self.place: Callable[[int, str], bool] | None = None
        """puts a container's first process into a resctrl group; set before the first event, or never"""
        self.cpus: OwnCPUs | None = None
        """set before the first event, or never"""
        self._chain = chain
        self._ledger = ledger
        self._observer = observer
        self._specs = specs
        self._changed = changed
        self._overlay = overlay
        self._recorder = recorder
        self._clock = clock
        self._handlers: dict[str, Callable[[bytes], Answer]] = {
            "CreateContainer": self._create,
            "UpdateContainer": self._update,
            "RunPodSandbox": lambda data: Answer(None, self._run_pod(views.RunPodSandboxRequest.FromString(data))),
            "RemovePodSandbox": lambda data: Answer(
                None, self._remove_pod(views.RemovePodSandboxRequest.FromString(data))
            ),
            "RemoveContainer": lambda data: Answer(
                None, self._remove_container(views.RemoveContainerRequest.FromString(data))
            ),
            "StartContainer": lambda data: Answer(None, self._start(views.StartContainerRequest.FromString(data))),
            "StateChange": self._state_change,
        }
        self._by_event: dict[int, tuple[str, Callable[[views.StateChangeEvent], Callable[[], None]]]] = {
            int(events.Event.RUN_POD_SANDBOX): ("RunPodSandbox", self._run_pod),
            int(events.Event.START_CONTAINER): ("StartContainer", self._start),
            int(events.Event.REMOVE_POD_SANDBOX): ("RemovePodSandbox", self._remove_pod),
            int(events.Event.REMOVE_CONTAINER): ("RemoveContainer", self._remove_container),
        }

    def handle(self, method: str, payload: bytes) -> Answer:
        """The reply to an event. Known methods without a handler are answered OK: Unimplemented would fail the pod.

        Raises chain.Refused (the runtime is told to refuse the container) and google.protobuf DecodeError.
        """
        handler = self._handlers.get(method)
        return NOTHING_TO_SAY if handler is None else handler(payload)

    def budget_s(self) -> float:
        """How long the chain may take: the policy's figure, else a quarter of what the runtime waits for us."""
        configured = self.snapshot.policy.chain_budget_s
        quarter = self.runtime.request_timeout_s / 4
        return quarter if configured is None else min(configured, self.runtime.request_timeout_s / 2)

    def answer_early(self) -> Message | None:
        """For another thread, when the budget is used up: the reply with what is decided so far. Raises chain.Refused."""
        inflight, self.inflight = self.inflight, None
        if inflight is None:
            return None
        self.overruns += 1
        ctx, finish, record = inflight
        decision = self._chain.answer_early(ctx)
        message = self._sendable(decision, ctx.node, finish)
        # The thread that is held will find its own answer out of date. Unrecorded, what is sent here would look like kubelet's later,
        # and the reconciler, which has to bring the rest, would not know the container.
        record(decision)
        return message

    # -- containers ---------------------------------------------------------------------------------------------------

    def _create(self, payload: bytes) -> Answer:
        request = views.CreateContainerRequest.FromString(payload)
        message = request.container
        pod = self._pod(request.pod)
        # What the message carries under our annotation's key is not ours yet: only resources count here.
        baseline = resources_from(message.linux.resources)
        container = Container(message.id, message.name, pod.id, baseline)
        if has_volumes(pod, container.name):
            pod.given[container.name] = given_to(api.CreateContainerRequest.FromString(payload).container)
        own = ""
        if self.cpus is not None:
            if _DRA in payload:  # a search of a fraction of a µs, instead of parsing the environment of every container
                environment = api.CreateContainerRequest.FromString(payload).container.env
                self.cpus.claimed(pod, container.name, dra_cpus(environment))
            if self.snapshot.node.kubelet_cpu_policy == "static":
                self.cpus.kubelet_says(pod, container, baseline.cpus, new=True)
            own = self.cpus.give(pod, container)
        snapshot, nri = self.snapshot, self.runtime.nri
        others = () if self._recorder is None else self._recorder.for_reply(message.id)
        self._ledger.creating = pod.id

        def finish(decision: Decision) -> Message:
            response = api.CreateContainerResponse()
            for other in others:
                response.update.append(encode_update(other.container_id, other.settings, snapshot.node))
            adjust = response.adjust
            adjust.annotations[BASELINE_KEY] = encode_note(
                Note(baseline, through_runtime(decision.settings.values()), own)
            )
            if decision.settings:
                put_adjustment(adjust, decision.settings.values(), snapshot.node, nri)
            return response

        def moved(decision: Decision) -> Note | None:
            # The pod's owner may write our annotation too, and the runtime may pass it on: then we trust our own notes only.
            if BASELINE_KEY not in pod.annotations:
                return None
            return Note(baseline, through_runtime(decision.settings.values()), own)

        if self.catch_up is None or snapshot.node.cgroup_version == 2:
            return self._decide(pod, container, Event.CREATE, snapshot, finish, moved, others)
        until_ns, overruns = self._clock() + int(self.budget_s() / 2 * 1e9), self.overruns
        for _ in range(MOST_SNAPSHOTS):
            snapshot = self.snapshot
            answer = self._decide(pod, container, Event.CREATE, snapshot, finish, moved, others, until_ns)
            if (
                self.snapshot is snapshot or self.overruns != overruns
            ):  # answered for meanwhile: another thread decides by now
                break
        return answer

    def _update(self, payload: bytes) -> Answer:
        request = views.UpdateContainerRequest.FromString(payload)
        message = request.container
        pod = self._pod(request.pod)
        asked = resources_from(request.linux_resources)
        known = Known.of(message, pod, self._ledger, self.snapshot.node)
        container, snapshot = known.container, self.snapshot
        container.baseline = container.baseline.moved_by(asked)
        if self.cpus is not None and snapshot.node.kubelet_cpu_policy == "static":
            self.cpus.kubelet_says(pod, container, asked.cpus, new=False)
            snapshot = self.snapshot
        others = () if self._recorder is None else self._recorder.for_reply(message.id)

        def finish(decision: Decision) -> Message:
            response = api.UpdateContainerResponse()
            for other in others:
                response.update.append(encode_update(other.container_id, other.settings, snapshot.node))
            known.let_wait(decision, snapshot.node)
            # Files are not the runtime's; an update that says nothing would take the place of what kubelet asks (koordinator 3129).
            settings = [s for s in decision.settings.values() if s.route == REPLY]
            settings += restorations(decision, container.baseline, container.stored, asked, snapshot.node, known.ours)
            if settings:
                # An update without the id of its container is lost in silence (koordinator 3129).
                update = response.update.add(container_id=container.id)
                put_resources(update.linux.resources, settings, snapshot.node)
            return response

        return self._decide(pod, container, Event.UPDATE, snapshot, finish, known.moved, others)

    def _decide(
        self,
        pod: Pod,
        container: Container,
        event: Event,
        snapshot: Snapshot,
        finish: Callable[[Decision], Message],
        moved: Callable[[Decision], Note | None],
        others: Sequence[Update],
        catch_up_until_ns: int = 0,
    ) -> Answer:
        chain = self._chain
        ctx = chain.context(pod, container, event, snapshot)

        def record(made: Decision) -> None:
            entry = Entry(container.id, container.name, pod.id, container.baseline)
            entry.started, entry.under = event is not Event.CREATE, snapshot
            self._ledger.record(entry, made, moved(made))
            self._ledger.creating = ""

        mine = self.inflight = Inflight(ctx, finish, record)
        try:
            decision = chain.run(ctx, self._clock() + int(self.budget_s() * 1e9))
            if catch_up_until_ns and self.catch_up is not None:
                # v1: the pod's own cgroup must be wide enough for what we are about to send, or the container does not start.
                self.catch_up(pod, snapshot, (catch_up_until_ns - self._clock()) / 1e9)
        except Refused as refusal:
            self._observer.refused(pod, container, event, refusal.decision)
            raise
        finally:
            if self.inflight is mine:  # else we were held too long, and another thread decides by now
                self.inflight = None

        def settle() -> None:
            if decision.late:
                self.overruns += 1
            record(decision)
            self._observer.decided(pod, container, event, decision)
            if event is Event.UPDATE or (container.name in pod.given and BLKIO_QOS_KEY in pod.annotations):
                self._changed(pod.id)  # of its own cgroup, only now the disk of a volume may be known
            if event is Event.CREATE and self.cpus is not None:
                self.cpus.gave(container.id)
            if others and self._recorder is not None:
                self._recorder.replied(others)

        return Answer(self._sendable(decision, snapshot.node, finish), settle)

    def _sendable(self, decision: Decision, node: NodeState, finish: Callable[[Decision], T]) -> T:
        """What `finish` makes of the decision; a value that cannot be sent costs itself, not the whole reply."""
        try:
            return finish(decision)
        except Exception:  # noqa: BLE001  # of protobuf's TypeError, ValueError and more; a second one is not caught
            drop_unsendable(decision, node, self.runtime.nri)
            return finish(decision)

    def _start(self, message: views.StartContainerRequest | views.StateChangeEvent) -> Callable[[], None]:
        """The container's cgroup is there, and its first process waits for our answer."""
        if self.cpus is not None:
            self.cpus.wait_until_clear(message.container.id)
        entry = self._ledger.container(message.container.id)
        placed = True
        if entry is not None and self.place is not None and (group := entry.sent.get(fields.RDT_CLOSID.name)):
            placed = self.place(message.container.pid, group[0])

        def settle() -> None:
            if entry is None:
                return
            stale = self._ledger.started(entry)
            # Its cgroup is there now, with what was sent when it was created; that may be out of date, or not be all.
            if (
                stale
                or not placed
                or entry.under is not self.snapshot
                or any(route == WRITE for _, route in entry.sent.values())
            ):
                self._changed(entry.pod_id)

        return settle

    def _remove_container(self, message: views.RemoveContainerRequest | views.StateChangeEvent) -> Callable[[], None]:
        container_id = message.container.id
        return lambda: self._ledger.forget_container(container_id)

    # -- pods ---------------------------------------------------------------------------------------------------------

    def _pod(self, message: views.PodSandbox) -> Pod:
        """The pod of an event: as remembered, if nothing was told anew; what is parsed from its annotations comes with it."""
        known = self._ledger.pod(message.id)
        told = message.annotations
        if known is not None and known.told == {key: told[key] for key in told}:
            return known
        pod = self._new_pod(message)
        if known is not None:
            pod.given = known.given
        self._ledger.remember_pod(pod)
        return pod

    def _new_pod(self, message: views.PodSandbox) -> Pod:
        pod = pod_from(message)
        pod.spec = self._specs.get(pod.uid)
        return self._overlay(pod)

    def _run_pod(self, message: views.RunPodSandboxRequest | views.StateChangeEvent) -> Callable[[], None]:
        pod = self._new_pod(message.pod)

        def settle() -> None:
            self._ledger.remember_pod(pod)
            self._changed(pod.id)
            if self.cpus is not None:
                self.cpus.pod_came(pod)

        return settle

    def _remove_pod(self, message: views.RemovePodSandboxRequest | views.StateChangeEvent) -> Callable[[], None]:
        pod_id = message.pod.id

        def settle() -> None:
            pod = self._ledger.pod(pod_id)
            self._ledger.forget_pod(pod_id)
            if self.cpus is not None and pod is not None:
                self.cpus.pod_went(pod)
            self._changed(pod_id)  # what its class has is the sum of what its pods ask

        return settle

    def _state_change(self, payload: bytes) -> Answer:
        message = views.StateChangeEvent.FromString(payload)
        found = self._by_event.get(message.event)
        if found is None:
            return NOTHING_TO_SAY
        event, handler = found
        return Answer(None, handler(message), event)

    # -- synchronize --------------------------------------------------------------------------------------------------

    def synchronize(self, pods: Iterable[views.PodSandbox], containers: Iterable[views.Container]) -> Answer:
        """All that runs already: decide again, and ask for what differs. `containers` of unknown pods are left alone.

        We were not there, or the runtime was not: what is stored and not ours is what kubelet asked meanwhile, see `asked_since`.
        The whole node waits while the runtime applies the updates of this reply: it carries a handful, and the reconciler the rest.
        """
        snapshot, budget_ns = self.snapshot, int(self.budget_s() * 1e9)
        deadline_ns = self._clock() + budget_ns
        known = [self._new_pod(p) for p in pods]
        by_id = {p.id: p for p in known}
        containers = list(containers)
        if self.cpus is not None:
            self._restore_cpus(self.cpus, by_id, containers)
            snapshot = self.snapshot
        response = api.SynchronizeResponse()
        settled: list[tuple[Pod, Container, Decision, Note | None, Sent | None]] = []
        ids: list[str] = []
        unstarted = {c.id for c in containers if c.state == api.CONTAINER_CREATED}

        def record(_: Decision | None = None) -> None:
            for pod, container, decision, note, sent in settled:
                entry = Entry(container.id, container.name, pod.id, container.baseline)
                entry.started, entry.under = container.id not in unstarted, snapshot
                self._ledger.record(entry, decision, note, sent)

        for message in containers:
            ids.append(message.id)
            pod = by_id.get(message.pod_sandbox_id)
            if pod is None:
                continue
            if has_volumes(pod, message.name):
                pod.given[message.name] = given_to(message)
            told = Known.of(message, pod, self._ledger, self.snapshot.node)
            container = told.container
            container.baseline = asked_since(container.baseline, container.stored, snapshot.node, told.ours)
            ctx = self._chain.context(pod, container, Event.SYNC, snapshot)
            mine = self.inflight = Inflight(ctx, lambda _: response, record)
            decision = self._chain.run(ctx, deadline_ns)
            if self.inflight is not mine:
                return Answer(response)  # we were held too long and answered for; another thread decides by now
            differs, update = self._sendable(decision, snapshot.node, partial(_difference, told, snapshot.node))
            sent: Sent | None = None
            if differs and len(response.update) < HANDFUL:
                response.update.append(update)
            elif differs:
                sent = told.stored_of_ours(snapshot.node)
            # Who never differed has nothing to lose, and needs no place in the state directory.
            keep = differs or told.own or self._ledger.moved_baseline(message.id)
            note = (told.moved(decision) if sent is None else told.unmoved()) if keep else None
            settled.append((pod, container, decision, note, sent))

        self.inflight = None

        def settle() -> None:
            self._ledger.replace(known, ids)
            for known_pod in known if self.cpus is not None else ():
                if RESOURCE_STATUS.key in known_pod.annotations:
                    self.cpus.pod_came(known_pod)  # type: ignore[union-attr]  # asked for in the line above
                    break
            record()
            for pod, container, decision, _, _ in settled:
                self._observer.decided(pod, container, Event.SYNC, decision)
            self._changed(None)

        return Answer(response, settle)

    def _restore_cpus(self, cpus: OwnCPUs, pods: Mapping[str, Pod], containers: Iterable[views.Container]) -> None:
        found, claims, pinned = [], [], []
        node = self.snapshot.node
        static = node.kubelet_cpu_policy == "static"
        for message in containers:
            pod = pods.get(message.pod_sandbox_id)
            if pod is None:
                continue
            if static or may_wish(pod):
                told = Known.of(message, pod, self._ledger, node)
                if told.note.own and may_wish(pod):
                    found.append((pod, message.name, told.note.own))
                told.container.baseline = asked_since(told.container.baseline, told.container.stored, node, told.ours)
                pinned.append(Found(pod, told.container, message.state == api.CONTAINER_STOPPED))
            if claimed := dra_cpus(message.env):
                claims.append((pod, message.name, claimed))
        cpus.restore(found, pinned)
        for claim in claims:
            cpus.claimed(*claim)


def _difference(known: Known, node: NodeState, decision: Decision) -> tuple[list[Setting], api.ContainerUpdate]:
    """What a container that runs lacks of what is decided, and the update that would bring it."""
    container = known.container
    known.let_wait(decision, node)
    settings = changes(decision, container.stored, node)
    settings += restorations(decision, container.baseline, container.stored, NOTHING, node, known.ours)
    return settings, encode_update(container.id, settings, node)


__all__ = ["SUBSCRIBED", "EventHandler", "Inflight"]
