"""Evicts pods by the Eviction API: budgets (PodDisruptionBudgets) and the pods' grace periods are honoured.

The caller never waits: `ask` queues a pod, and a separate thread sends one request for it. Nothing is sent again: by then another pod may
be the right one, so the caller asks again if it still wants to.

RBAC: verb create on core/v1 pods/eviction, in all namespaces.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from koordnri.kube.api import Api
from koordnri.kube.errors import ApiRefused, KubeError
from koordnri.kube.event import Target
from koordnri.kube.timing import Timing
from koordnri.model.log import Log

VERSIONS = ("policy/v1", "policy/v1beta1")
"""Of Kubernetes 1.22 and newer, and of 1.21 and older."""
MAX_QUEUED = 128
"""Most pods that wait for their request; more than any policy lets a node evict at once."""


class Outcome(StrEnum):
    """What came of a request."""

    EVICTED = "evicted"
    """the API server has marked the pod for deletion; kubelet ends it within its grace period"""
    BUDGET = "budget"
    """a PodDisruptionBudget forbids it now"""
    GONE = "gone"
    """there is no such pod any more"""
    REPLACED = "replaced"
    """another pod has the name by now; it was not touched"""
    FORBIDDEN = "forbidden"
    """koordnri has not the right to evict pods"""
    REFUSED = "refused"
    """the API server refuses this pod for another reason, such as a webhook or two budgets"""
    UNREACHABLE = "unreachable"
    """no answer, or a server that cannot work now or does not know us: for a reason that is none of this pod's"""
    WITHDRAWN = "withdrawn"
    """nothing was sent: when its turn came, the pod was not to be evicted any more"""


_BY_STATUS = {
    401: Outcome.UNREACHABLE,
    404: Outcome.GONE,
    409: Outcome.REPLACED,
    502: Outcome.UNREACHABLE,
    503: Outcome.UNREACHABLE,
    504: Outcome.UNREACHABLE,
}


class EvictionAnswer(NamedTuple):
    """What the API server answered about one pod."""

    uid: str
    outcome: Outcome
    message: str = ""
    """the API server's, or the error; "" when it was evicted"""
    retry_after_s: float | None = None
    """how long the server asks us to wait"""


class EvictionSender:
    """`start`, `ask`, `stop`.

    on_answer   called in the sender's thread, once for each pod that was asked for
    on_death    called in the sender's thread with the exception that ended it: a bug
    is_wanted   called in the sender's thread, before each request, with the pod's uid: a pod may have waited for its turn for minutes
    """

    def __init__(
        self,
        api: Api,
        on_answer: Callable[[EvictionAnswer], None],
        log: Log,
        on_death: Callable[[BaseException], None],
        is_wanted: Callable[[str], bool] = lambda uid: True,
        *,
        timing: Timing | None = None,
    ) -> None:
        self._api = api
        self._on_answer = on_answer
        self._log = log
        self._on_death = on_death
        self._is_wanted = is_wanted
        self._timing = timing or Timing(answer_s=10.0)
        self._queue: queue.Queue[Target | None] = queue.Queue(MAX_QUEUED)
        self._version = VERSIONS[0]
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="kube-evict", daemon=True)

    def start(self) -> None:
        """Start sending; pods that were asked for before are evicted, too."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Stop. Pods whose request was not sent are not evicted."""
        self._stopping = True
        with contextlib.suppress(queue.Full):  # then the thread sees the flag after the request that it is at
            self._queue.put_nowait(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def ask(self, pod: Target) -> bool:
        """Evict this pod, and no other one of its name. Never blocks. False: too many wait, and nothing will come of it."""
        try:
            self._queue.put_nowait(pod)
        except queue.Full:
            return False
        return True

    # -- thread -------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while (pod := self._queue.get()) is not None and not self._stopping:
                self._on_answer(self._evict(pod))
        except BaseException as error:  # noqa: BLE001  # a bug ends the daemon, as in every watch
            self._log.error("kube_evict_died", exc_info=True)
            self._on_death(error)

    def _evict(self, pod: Target) -> EvictionAnswer:
        if not self._is_wanted(pod.uid):
            return EvictionAnswer(pod.uid, Outcome.WITHDRAWN)
        try:
            self._post_mended(pod)
        except ApiRefused as error:
            return EvictionAnswer(pod.uid, outcome_of(error), error.message, error.retry_after_s)
        except KubeError as error:
            return EvictionAnswer(pod.uid, Outcome.UNREACHABLE, str(error))
        return EvictionAnswer(pod.uid, Outcome.EVICTED)

    def _post_mended(self, pod: Target) -> None:
        """Once more with new credentials, or with the version that an older API server knows."""
        generation = self._api.generation
        try:
            self._post(pod)
        except ApiRefused as error:
            if error.status == 401:
                self._api.reload(generation)
            elif error.status == 400 and "no kind" in error.message and self._version == VERSIONS[0]:
                self._version = VERSIONS[1]
            else:
                raise
            self._post(pod)

    def _post(self, pod: Target) -> None:
        namespace, name = (quote(one, safe="") for one in (pod.namespace, pod.name))
        body = {
            "apiVersion": self._version,
            "kind": "Eviction",
            "metadata": {"namespace": pod.namespace, "name": pod.name},
            "deleteOptions": {"preconditions": {"uid": pod.uid}},
        }
        timing = self._timing
        with self._api.open(
            "POST",
            f"/api/v1/namespaces/{namespace}/pods/{name}/eviction",
            body=msgspec.json.encode(body),
            connect_s=timing.connect_s,
            read_s=timing.answer_s,
        ) as reply:
            reply.read(within_s=timing.answer_s)  # to its end, so that the connection can be used again


def outcome_of(error: ApiRefused) -> Outcome:
    """What a refusal means. A 403 is also what a webhook answers that protects a pod; a 429 too, and an overloaded server."""
    if error.status in _BY_STATUS:
        return _BY_STATUS[error.status]
    if error.status == 403 and "cannot create resource" in error.message:
        return Outcome.FORBIDDEN
    if error.status == 429 and "admission webhook" not in error.message:
        return Outcome.BUDGET if "disruption budget" in error.message else Outcome.UNREACHABLE
    return Outcome.REFUSED
