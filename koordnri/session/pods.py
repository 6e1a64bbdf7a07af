"""The pods that the runtime tells, with what others know of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from koordnri.model import Pod
from koordnri.model.pod import PodSpec
from koordnri.session.translate import pod_from
from koordnri.state.ledger import Ledger
from koordnri.wire import views_pb2 as views


class Pods:
    """Used by the thread that reads the socket.

    specs     pod uid → what NRI does not tell of the pod; empty where the API server is not consulted
    overlay   adds to a pod what others than the runtime know of it
    """

    def __init__(self, ledger: Ledger, specs: Mapping[str, PodSpec], overlay: Callable[[Pod], Pod]) -> None:
        self._ledger = ledger
        self._specs = specs
        self._overlay = overlay

    def of(self, message: views.PodSandbox) -> Pod:
        """The pod of an event: as remembered, if nothing was told anew; what is parsed from its annotations comes with it."""
        known = self._ledger.pod(message.id)
        told = message.annotations
        if known is not None and known.told == {key: told[key] for key in told}:
            return known
        pod = self.anew(message)
        if known is not None:
            pod.given = known.given
        self._ledger.remember_pod(pod)
        return pod

    def anew(self, message: views.PodSandbox) -> Pod:
        """The pod as it is told now, whatever is remembered of it; it is not remembered yet."""
        pod = pod_from(message)
        pod.spec = self._specs.get(pod.uid)
        return self._overlay(pod)
