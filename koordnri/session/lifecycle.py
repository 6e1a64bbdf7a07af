"""What follows when containers start and end, and pods come and go. Nothing is decided here; the reply is empty.

The exception: a container's start waits until others have left its exclusive CPUs, and its first process is put into its resctrl group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from koordnri.model import UNLIMITED, Pod, fields
from koordnri.model.routes import WRITE
from koordnri.session.answer import NOTHING_TO_SAY, Answer, answer_with
from koordnri.session.decider import Decider
from koordnri.session.exclusive_cpus import ExclusiveCPUsPort
from koordnri.session.pods import Pods
from koordnri.state.entry import Entry
from koordnri.wire import events
from koordnri.wire import views_pb2 as views


class LifeCycle:
    """Used by the thread that reads the socket. The parameters are EventHandler's."""

    def __init__(
        self,
        decider: Decider,
        pods: Pods,
        changed: Callable[[str | None], None],
        cpus: ExclusiveCPUsPort | None,
        place: Callable[[int, str], bool] | None,
    ) -> None:
        self.never_started = 0
        """containers that were removed between the reply to their creation and their start"""
        self.unstarted_in_a_row = 0
        """how many of these since a container last started"""
        self.handlers: Mapping[str, Callable[[bytes], Answer]] = {
            "RunPodSandbox": lambda data: answer_with(None, self._run_pod(views.RunPodSandboxRequest.FromString(data))),
            "StartContainer": lambda data: answer_with(None, self._start(views.StartContainerRequest.FromString(data))),
            "StopContainer": lambda data: answer_with(
                None, self._stop_container(views.StopContainerRequest.FromString(data))
            ),
            "RemoveContainer": lambda data: answer_with(
                None, self._remove_container(views.RemoveContainerRequest.FromString(data))
            ),
            "StopPodSandbox": lambda data: answer_with(
                None, self._end_pod(views.StopPodSandboxRequest.FromString(data))
            ),
            "RemovePodSandbox": lambda data: answer_with(
                None, self._end_pod(views.RemovePodSandboxRequest.FromString(data))
            ),
            "StateChange": self._state_change,
        }
        """method → its handler"""
        self._decider = decider
        self._pods = pods
        self._changed = changed
        self._cpus = cpus
        self._place = place
        self._by_event: dict[int, tuple[str, Callable[[views.StateChangeEvent], Callable[[], None]]]] = {
            int(events.NRIEvent.RUN_POD_SANDBOX): ("RunPodSandbox", self._run_pod),
            int(events.NRIEvent.START_CONTAINER): ("StartContainer", self._start),
            int(events.NRIEvent.STOP_POD_SANDBOX): ("StopPodSandbox", self._end_pod),
            int(events.NRIEvent.REMOVE_POD_SANDBOX): ("RemovePodSandbox", self._end_pod),
            int(events.NRIEvent.REMOVE_CONTAINER): ("RemoveContainer", self._remove_container),
        }

    # -- containers ---------------------------------------------------------------------------------------------------

    def _start(self, message: views.StartContainerRequest | views.StateChangeEvent) -> Callable[[], None]:
        """The container's cgroup exists, and its first process waits for our answer."""
        if self._cpus is not None:
            self._cpus.wait_until_clear(message.container.id, self._decider.budget_s())
        entry = self._decider.ledger.container(message.container.id)
        placed = True
        if entry is not None and self._place is not None and (group := entry.sent.get(fields.RDT_CLOSID.name)):
            placed = self._place(message.container.pid, group[0])

        def settle() -> None:
            if entry is None:
                return
            self.unstarted_in_a_row = 0
            stale = self._decider.ledger.started(entry)
            # Its cgroup now has the values sent at its creation; they may be out of date, or incomplete.
            if (
                stale
                or not placed
                or entry.under is not self._decider.snapshot
                or any(route == WRITE for _, route in entry.sent.values())
                or _lifts_quota(entry)
            ):
                self._changed(entry.pod_id)

        return settle

    def _stop_container(self, message: views.StopContainerRequest) -> Callable[[], None]:
        container_id = message.container.id

        def settle() -> None:
            entry = self._decider.ledger.ended(container_id)
            pod = None if entry is None else self._decider.ledger.pod(entry.pod_id)
            if entry is not None and pod is not None and self._cpus is not None:
                self._cpus.container_ended(pod, entry.name)

        return settle

    def _remove_container(self, message: views.RemoveContainerRequest | views.StateChangeEvent) -> Callable[[], None]:
        container_id = message.container.id

        def settle() -> None:
            entry = self._decider.ledger.container(container_id)
            self._decider.ledger.forget_container(container_id)
            if entry is not None:
                self._count_unstarted(self._decider.ledger.pod(entry.pod_id), [entry])

        return settle

    def _count_unstarted(self, pod: Pod | None, gone: Iterable[Entry]) -> None:
        for entry in gone:
            if not entry.started:
                self.never_started += 1
                self.unstarted_in_a_row += 1
                self._decider.observer.never_started(pod, entry)

    # -- pods ---------------------------------------------------------------------------------------------------------

    def _run_pod(self, message: views.RunPodSandboxRequest | views.StateChangeEvent) -> Callable[[], None]:
        pod = self._pods.fresh(message.pod)

        def settle() -> None:
            stored = self._pods.remember(pod)
            self._changed(pod.id)
            if self._cpus is not None:
                self._cpus.pod_came(stored)

        return settle

    def _end_pod(
        self, message: views.StopPodSandboxRequest | views.RemovePodSandboxRequest | views.StateChangeEvent
    ) -> Callable[[], None]:
        """A pod ends when its sandbox is stopped: nothing runs in it. kubelet removes the sandbox up to days later."""
        pod_id = message.pod.id

        def settle() -> None:
            pod = self._decider.ledger.pod(pod_id)
            if pod is None:
                return
            self._count_unstarted(pod, self._decider.ledger.containers_of(pod_id))
            self._decider.ledger.forget_pod(pod_id)
            if self._cpus is not None:
                self._cpus.pod_went(pod)
            self._changed(pod_id)  # its class has the sum of its pods

        return settle

    # -- NRI before 0.12: one kind of message for all of these ---------------------------------------------------------

    def _state_change(self, payload: bytes) -> Answer:
        message = views.StateChangeEvent.FromString(payload)
        found = self._by_event.get(message.event)
        if found is None:
            return NOTHING_TO_SAY
        event, handler = found
        return Answer(None, handler(message), event)


def _lifts_quota(entry: Entry) -> bool:
    """Whether it was created with a quota of -1, which crun up to 1.21 turns into 1 % of a CPU: then its files must be checked."""
    sent = entry.sent.get(fields.CPU_QUOTA.name)
    return sent is not None and sent[0] == UNLIMITED
