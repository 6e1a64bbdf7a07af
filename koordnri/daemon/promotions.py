"""Gives exclusive CPUs to running containers that lack some: reserved before a full pass, given after it."""

from __future__ import annotations

from collections.abc import Callable

from koordnri.cpus.allocator import Allocator
from koordnri.cpus.creation import promote
from koordnri.cpus.room import NotEnough
from koordnri.cpus.wish import may_wish
from koordnri.daemon.cpu_notices import CPUNotices
from koordnri.model import Pod
from koordnri.model.log import Log
from koordnri.reconcile.requests import Requests
from koordnri.state.ledger import Ledger
from koordnri.state.present import Present


class Promotions:
    """Implements koordnri.reconcile.ports.Promotions, for the reconcile thread.

    pod_went   frees all CPUs of a pod
    """

    def __init__(
        self,
        allocator: Allocator,
        ledger: Ledger,
        requests: Requests,
        present: Present,
        notices: CPUNotices,
        pod_went: Callable[[Pod], None],
        log: Log,
    ) -> None:
        self._allocator = allocator
        self._ledger = ledger
        self._requests = requests
        self._present = present
        self._notices = notices
        self._pod_went = pod_went
        self._log = log
        self._arriving: list[tuple[str, str]] = []
        """(key, container) for which the present pass makes room"""

    def before_pass(self) -> None:
        """A full pass begins: reserve CPUs for running containers that lack some."""
        snapshot, before = self._present.up_to_date(), (self._allocator.held, self._allocator.lacking)
        wishing = [pod for pod in self._ledger.pods() if may_wish(pod)]
        running = [
            (pod, [e.container for e in self._ledger.containers_of(pod.id) if e.started and not e.ended])
            for pod in wishing
        ]
        lacking = promote(running, snapshot, self._allocator)
        for pod in wishing:
            if self._ledger.pod(pod.id) is None:
                self._pod_went(pod)  # the pod went meanwhile
        for pod, containers in running if lacking else ():
            for container in containers:
                if (error := lacking.get((pod.key, container.name))) is not None:
                    self._keeps_lacking(pod, container.name, error)
        held, lacked = before
        if self._allocator.held is not held or self._allocator.lacking is not lacked:
            self._present.take()
        self._arriving = self._allocator.coming()

    def after_pass(self) -> None:
        """The pass has ended: all others have left the reserved CPUs."""
        arrived = self._allocator.arrive(self._arriving)
        self._arriving = []
        if not arrived:
            return
        pods = {pod.key: pod for pod in self._ledger.pods()}
        self._present.take()
        for key, name, holding in arrived:
            if (pod := pods.get(key)) is None:
                continue
            for entry in self._ledger.containers_of(pod.id):
                if entry.name == name and not entry.ended:
                    self._ledger.note_exclusive(entry.id, holding.allocated)
            self._log.info("exclusive_cpus", pod=f"{pod.namespace}/{pod.name}", container=name, cpus=str(holding.cpus))
            self._notices.has(pod, name, holding.cpus)
            self._requests.trigger(pod.id)

    def _keeps_lacking(self, pod: Pod, name: str, error: NotEnough) -> None:
        has = self._present.snapshot.node.exclusive_cpus.get(pod.key, {}).get(name)  # the usable ones
        text = f"keeps {has}, though it wants {error}" if has else error.shortage
        self._notices.lacks(pod, name, str(error), text)
