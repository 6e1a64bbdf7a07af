"""Turns a request of the runtime into its reply: message → context → chain → decision → message.

This is the event path: container creation of the whole node waits here. It does no I/O, but for the small file of `expose: file`. Work
that can wait until the reply is sent is returned as a second step (`settle`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from google.protobuf.message import Message

from koordnri.chain import Chain, ContainerRefused, Snapshot
from koordnri.cpus.dra import PREFIX as DRA_PREFIX
from koordnri.cpus.dra import dra_cpus
from koordnri.model import UNLIMITED, Container, Decision, Event, Pod
from koordnri.model.allocated import NOT_ALLOCATED, Allocated
from koordnri.model.annotations import BLKIO_QOS_KEY
from koordnri.model.decision import NEW, HookError
from koordnri.model.difference import restorations, through_runtime
from koordnri.model.field import Nesting
from koordnri.model.fields import CPU_CPUS, CPUS_FILE, OOM_SCORE_ADJ
from koordnri.model.kubelet_cpus import cpus_in
from koordnri.model.pod import PodSpec
from koordnri.model.resources import BASELINE_KEY, Note, encode_note
from koordnri.model.routes import REPLY
from koordnri.reconcile.plan import Update
from koordnri.reconcile.recorder import Recorder
from koordnri.session.answer import NOTHING_TO_SAY, Answer, answer_with
from koordnri.session.creation import request_of
from koordnri.session.decider import Decider, Inflight
from koordnri.session.encode import encode_update, put_adjustment, put_resources
from koordnri.session.exclusive_cpus import ExclusiveCPUsPort
from koordnri.session.given import given_to, has_volumes
from koordnri.session.known import Known
from koordnri.session.lifecycle import LifeCycle
from koordnri.session.observer import Observer
from koordnri.session.pods import Pods
from koordnri.session.synchronize import Synchronize
from koordnri.session.translate import resources_from
from koordnri.state.entry import Entry
from koordnri.state.ledger import Ledger
from koordnri.wire import api_pb2 as api
from koordnri.wire import events
from koordnri.wire import views_pb2 as views

_DRA = DRA_PREFIX.encode()
MOST_SNAPSHOTS = 2
"""If the policy changes while a creation waits for its pod's files, it waits once more."""
SUBSCRIBED = (
    events.NRIEvent.RUN_POD_SANDBOX,
    events.NRIEvent.STOP_POD_SANDBOX,
    events.NRIEvent.REMOVE_POD_SANDBOX,
    events.NRIEvent.CREATE_CONTAINER,
    events.NRIEvent.START_CONTAINER,
    events.NRIEvent.UPDATE_CONTAINER,
    events.NRIEvent.STOP_CONTAINER,
    events.NRIEvent.REMOVE_CONTAINER,
)
"""Only events that carry something for us: each subscribed event costs the node about 0.1 ms."""


class EventHandler(Decider):
    """One per daemon; used by the thread that reads the socket. Other threads replace `snapshot`, by one assignment.

    specs     pod uid → what NRI does not send about the pod; empty without the API server
    overlay   adds to a pod what others than the runtime know of it
    changed   called after the reply with a pod whose own cgroup must follow, or with None for all; must not block
    cpus      gives exclusive CPUs; None: nobody does
    catch_up  waits until a pod's files have what follows from a snapshot, at most so many seconds; None: they need not
    place     puts a container's first process into a resctrl group; None: nobody does
    expose    makes the file that shows a container (id) its exclusive CPUs (a list), raises OSError; None: nobody does
    has_ended   whether a sandbox in which nothing runs has been stopped; kubelet removes it much later
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
        *,
        cpus: ExclusiveCPUsPort | None = None,
        catch_up: Callable[[Pod, Snapshot, float], None] | None = None,
        place: Callable[[int, str], bool] | None = None,
        expose: Callable[[str, str], None] | None = None,
        has_ended: Callable[[Pod], bool] = lambda pod: False,
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        super().__init__(chain, ledger, snapshot, observer, clock)
        self.cpus = cpus
        self.catch_up = catch_up
        self._expose = expose
        self.has_ended = has_ended
        self._began_ns = 0
        """when the current event arrived (ns, `clock`)"""
        self._pods = Pods(ledger, specs, overlay, lambda pod: self.snapshot.believed(pod))
        self._changed = changed
        self._recorder = recorder
        self.life = LifeCycle(self, self._pods, changed, cpus, place)
        self._handlers: dict[str, Callable[[bytes], Answer]] = {
            "CreateContainer": self._create,
            "UpdateContainer": self._update,
            **self.life.handlers,
        }

    def handle(self, method: str, payload: bytes) -> Answer:
        """The reply to an event. Known methods without a handler are answered OK, since Unimplemented would fail the pod.

        Raises chain.ContainerRefused (the reply refuses the container) and google.protobuf DecodeError.
        """
        self._began_ns = self.clock()
        handler = self._handlers.get(method)
        return NOTHING_TO_SAY if handler is None else handler(payload)

    def synchronize(self, pods: Iterable[views.PodSandbox], containers: Iterable[views.Container]) -> Answer:
        """The reply to Synchronize, after all its parts: these are all running containers."""
        return Synchronize(self, self._pods, self.cpus, self._changed, self.has_ended).answer(pods, list(containers))

    # -- containers ---------------------------------------------------------------------------------------------------

    def _create(self, payload: bytes) -> Answer:
        request, creation = request_of(payload, self.snapshot)
        message = request.container
        pod = self._pods.of(request.pod)
        # Our annotation in this message is not from us yet, so only the resources count.
        baseline = resources_from(message.linux.resources)
        container = Container(message.id, message.name, pod.id, baseline)
        container.creation = creation
        if has_volumes(pod, container.name):
            pod.given[container.name] = given_to(api.CreateContainerRequest.FromString(payload).container)
        allocated = NOT_ALLOCATED if self.cpus is None else self._allocate(self.cpus, pod, container, payload)
        snapshot, nri, policy = self.snapshot, self.runtime.nri, self.snapshot.policy
        others = () if self._recorder is None else self._recorder.for_reply(message.id)
        self.ledger.creating = pod.id

        def finish(decision: Decision) -> tuple[Decision, Message]:
            response = api.CreateContainerResponse()
            for other in others:
                response.update.append(encode_update(other, snapshot.node))
            adjust = response.adjust
            adjust.annotations[BASELINE_KEY] = encode_note(
                Note(baseline, through_runtime(decision.settings.values()), allocated)
            )
            if policy.cpuset.expose == "file":
                decision = self._prepare_file(container.id, decision)
            if decision.settings:
                put_adjustment(adjust, decision.settings.values(), snapshot.node, nri)
            return decision, response

        def note_if_sent(decision: Decision) -> Note | None:
            # If the pod's owner wrote our annotation, the runtime may copy it to the container. Then only our own notes count.
            if BASELINE_KEY not in pod.reported:
                return None
            return Note(baseline, through_runtime(decision.settings.values()), allocated)

        if self.catch_up is None or snapshot.node.cgroup_version == 2:
            return self._decide(pod, container, Event.CREATE, snapshot, finish, note_if_sent, others, payload=payload)
        until_ns, overruns = self.clock() + int(self.budget_s() / 2 * 1e9), self.overruns
        for _ in range(MOST_SNAPSHOTS):
            snapshot = self.snapshot
            answer = self._decide(
                pod, container, Event.CREATE, snapshot, finish, note_if_sent, others, until_ns, payload
            )
            answered_for = self.overruns != overruns  # then another thread decides now
            if self.snapshot is snapshot or answered_for:
                break
        return answer

    def _allocate(self, cpus: ExclusiveCPUsPort, pod: Pod, container: Container, payload: bytes) -> Allocated:
        """Exclusive CPUs for a container that is being created, after those that others gave to it. Raises chain.ContainerRefused."""
        if _DRA in payload:  # a search of a fraction of a µs saves parsing every container's environment
            environment = api.CreateContainerRequest.FromString(payload).container.env
            cpus.claimed(pod, container.name, dra_cpus(environment))
        if self.snapshot.node.kubelet_cpu_policy == "static":
            cpus.kubelet_says(pod, container, cpus_in(container.baseline.cpus), new=True)
        return cpus.give(pod, container)

    def _update(self, payload: bytes) -> Answer:
        request = views.UpdateContainerRequest.FromString(payload)
        message = request.container
        pod = self._pods.of(request.pod)
        asked = resources_from(request.linux_resources)
        known = Known.of(message, pod, self.ledger, self.snapshot.node)
        container, snapshot = known.container, self.snapshot
        container.baseline = container.baseline.moved_by(asked)
        if self.cpus is not None and snapshot.node.kubelet_cpu_policy == "static":
            self.cpus.kubelet_says(pod, container, cpus_in(asked.cpus), new=False)
            snapshot = self.snapshot
        if self.cpus is not None and (allocated := self.cpus.resized(pod, container)) is not None:
            known, snapshot = known.with_allocated(allocated), self.snapshot
        others = () if self._recorder is None else self._recorder.for_reply(message.id)

        def finish(decision: Decision) -> tuple[Decision, Message]:
            response = api.UpdateContainerResponse()
            for other in others:
                response.update.append(encode_update(other, snapshot.node))
            decision = known.let_wait(decision, snapshot.node)
            # Routes to files are not sent, and an empty update would replace kubelet's request (koordinator 3129).
            settings = [s for s in decision.settings.values() if s.route == REPLY]
            settings += restorations(decision, container.baseline, container.stored, asked, snapshot.node, known.ours)
            if settings:
                # An update without its container's id is ignored silently (koordinator 3129).
                update = response.update.add(container_id=container.id)
                period_us = 0 if asked.cpu_period else container.baseline.period_us
                put_resources(update.linux.resources, settings, snapshot.node, period_us)
            return decision, response

        return self._decide(pod, container, Event.UPDATE, snapshot, finish, known.note_if_sent, others)

    def _pod_may_refuse(self, container: Container, decision: Decision) -> bool:
        """Whether the pod's own cgroup, as it is now, may be too narrow for the decision (v1). A pod's first container finds the cgroup as
        kubelet made it, with all CPUs and a limit that is not below the container's, unless we have written there before.
        """
        pod_id = container.pod_id
        if self.ledger.containers_of(pod_id) or self.ledger.originals(pod_id):
            return True
        for setting in decision.settings.values():
            if setting.field.nesting is Nesting.LIMIT and setting.value != UNLIMITED:
                asked = getattr(container.baseline, setting.field.baseline, None)
                if asked is not None and 0 < asked < setting.value:
                    return True
        return False

    def _prepare_file(self, container_id: str, decision: Decision) -> Decision:
        """Make the file of exclusive CPUs before the runtime mounts it. Returns the decision, without the mount if the file cannot be made:
        the container would not start.
        """
        mounts = [name for name, setting in decision.settings.items() if setting.field is CPUS_FILE]
        if not mounts:
            return decision
        try:
            if self._expose is not None:
                self._expose(container_id, decision.value(CPU_CPUS) or "")
        except OSError as error:
            kept = {name: setting for name, setting in decision.settings.items() if name not in mounts}
            problem = HookError(decision.settings[mounts[0]].hook, f"file of exclusive CPUs: {error}", "node")
            return decision._replace(settings=MappingProxyType(kept)).with_errors(problem)
        return decision

    def _note_oom_score(self, container_id: str, made: Decision, payload: bytes) -> None:
        """Note what kubelet asked for at the creation: nothing shows it later, when nobody decides it any more."""
        if payload and OOM_SCORE_ADJ.name in made.settings:
            asked = api.CreateContainerRequest.FromString(payload).container.linux.oom_score_adj.value
            self.ledger.wrote(container_id, OOM_SCORE_ADJ.name, asked)

    def _decide(
        self,
        pod: Pod,
        container: Container,
        event: Event,
        snapshot: Snapshot,
        finish: Callable[[Decision], tuple[Decision, Message]],
        note_if_sent: Callable[[Decision], Note | None],
        others: Sequence[Update],
        catch_up_until_ns: int = 0,
        payload: bytes = b"",
    ) -> Answer:
        chain, budget_ns = self.chain, int(self.budget_s() * 1e9)
        ctx = chain.context(pod, container, event, snapshot)

        def remember(made: Decision) -> None:
            entry = Entry(container.id, container.name, pod.id, container.baseline)
            entry.started, entry.under = event is not Event.CREATE, snapshot
            self.ledger.remember(entry, made, note_if_sent(made))
            self.ledger.creating = ""
            self._note_oom_score(container.id, made, payload)

        mine = self.inflight = NEW(Inflight, (ctx, finish, remember))
        try:
            decision = chain.run(ctx, self.clock() + budget_ns)
            if catch_up_until_ns and self.catch_up is not None and self._pod_may_refuse(container, decision):
                # v1: unless the pod's own cgroup allows what we are about to send, the container does not start.
                self.catch_up(pod, snapshot, (catch_up_until_ns - self.clock()) / 1e9)
            decision, message = self.sendable(decision, snapshot.node, finish)
            # Measured from the event's arrival: work before the chain (choosing CPUs, reading volumes) also keeps the runtime waiting.
            late = decision.late or self.clock() - self._began_ns > budget_ns
        except BaseException as error:
            if self.inflight is mine:  # nothing of it will be stored, and nobody decides it any more
                self.ledger.creating = ""
            if isinstance(error, ContainerRefused):
                self.observer.refused(pod, container, event, error.decision)
            raise
        finally:
            if self.inflight is mine:  # otherwise a hook held us too long, and another thread decides now
                self.inflight = None

        def settle() -> None:
            if late:
                self.overruns += 1
            remember(decision)
            self.observer.decided(pod, container, event, decision)
            if event is Event.UPDATE or (container.name in pod.given and BLKIO_QOS_KEY in pod.annotations):
                self._changed(pod.id)  # its own cgroup: the disk of a volume may be known only now
            if event is Event.CREATE and self.cpus is not None:
                self.cpus.gave(pod, container.id)
            if others and self._recorder is not None:
                self._recorder.replied(others)

        return answer_with(message, settle)


__all__ = ["SUBSCRIBED", "EventHandler"]
