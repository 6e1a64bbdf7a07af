"""The pods that the runtime reports, completed with what others know of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from koordnri.model import Pod
from koordnri.model.bounds import bounded_annotations
from koordnri.model.pod import PodSpec
from koordnri.session.translate import pod_from
from koordnri.state.ledger import Ledger
from koordnri.wire import views_pb2 as views


class Pods:
    """Used by the thread that reads the socket.

    specs     pod uid → what NRI does not send about the pod; empty without the API server
    overlay   adds to a pod what others than the runtime know of it
    believe   takes from a pod what the trust rules in force refuse
    """

    def __init__(
        self,
        ledger: Ledger,
        specs: Mapping[str, PodSpec],
        overlay: Callable[[Pod], Pod],
        believe: Callable[[Pod], Pod],
    ) -> None:
        self._ledger = ledger
        self._specs = specs
        self._overlay = overlay
        self._believe = believe

    def of(self, message: views.PodSandbox) -> Pod:
        """The pod of an event: the ledger's, with its parsed annotations, unless the message differs."""
        known, annotations = self._ledger.pod(message.id), message.annotations
        if known is not None:
            reported = {key: annotations[key] for key in annotations}
            if known.reported == reported or known.reported == bounded_annotations(reported):
                return known
        pod = self.fresh(message)
        if known is not None:
            pod.given = known.given
        return self.remember(pod)

    def remember(self, pod: Pod) -> Pod:
        """Store the pod, and return it as stored."""
        self._ledger.remember_pod(pod)
        return self.judged(pod)

    def judged(self, pod: Pod) -> Pod:
        """A stored pod under the trust rules in force: another thread may have changed them before the pod was stored."""
        return self._ledger.judge(pod.id, self._believe) or pod

    def fresh(self, message: views.PodSandbox) -> Pod:
        """The pod in the message, whatever the ledger has; it is not stored yet."""
        pod = pod_from(message)
        pod.spec = self._specs.get(pod.uid)
        return self._believe(self._overlay(pod))
