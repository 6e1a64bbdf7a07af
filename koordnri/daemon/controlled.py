"""Puts what feedback controllers want into the node state, and has the reconciler do what changes by it, and nothing more."""

from __future__ import annotations

from koordnri.model.control import NO_CONTROL, Control
from koordnri.model.log import Log
from koordnri.reconcile.requests import Requests
from koordnri.state.ledger import Ledger
from koordnri.state.present import Present


class Controlled:
    """`publish` is for the control thread, `settle` for whoever ends it."""

    def __init__(self, present: Present, ledger: Ledger, requests: Requests, log: Log) -> None:
        self._present = present
        self._ledger = ledger
        self._requests = requests
        self._log = log
        self._gives_back = False

    def publish(self, wanted: Control) -> None:
        """From now on all is decided with this. The pods concerned are decided again, and the cgroups above them."""
        before, after = self._present.control(wanted)
        version, pods = after.cgroup_version, set()
        for pod in self._ledger.pods():
            ids = [entry.id for entry in self._ledger.containers_of(pod.id)]
            if before.control.of_pod(pod, ids, version) != after.control.of_pod(pod, ids, version):
                pods.add(pod.id)
        above = _above(before.control) != _above(after.control)
        self._gives_back = wanted is NO_CONTROL
        if pods or above:
            self._requests.control(frozenset(pods), above=above)

    def settle(self, timeout_s: float) -> None:
        """The control thread has ended: wait until all that was wanted is given back."""
        if self._gives_back:
            try:
                self._requests.ask([], timeout_s)
            except TimeoutError as error:
                self._log.warning("controllers_not_undone", error=str(error))


def _above(control: Control) -> tuple[object, ...]:
    """What it wants of the cgroups above the pods."""
    return tuple(None if wanted is None else wanted.value for wanted in (control.be_cpus, control.be_quota_us))
