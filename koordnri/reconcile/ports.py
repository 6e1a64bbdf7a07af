"""What the reconciler needs of others: the machine that it works on, a receiver of reports, and exclusive CPUs."""

from __future__ import annotations

from typing import Protocol

from koordnri.host.cgroup.writer import Writer
from koordnri.model import Decision, Pod
from koordnri.reconcile.failures import Failure
from koordnri.state.causes import PassDone
from koordnri.state.world import World


class Machine(Protocol):
    """What a pass decides with, and where it writes."""

    def world(self) -> World:
        """The present policy, node and runtime."""

    def writer(self, cgroup_version: int) -> Writer:
        """A writer for one pass."""

    def save(self) -> None:
        """Save the ledger's notes at once."""


class Reports(Protocol):
    """Receives what the reconciler finds."""

    def decided_again(self, pod: Pod, container: str, decision: Decision) -> None:
        """A decision with errors about a container, or (container "") any decision about a pod's own cgroup."""

    def class_decided_again(self, kube_class: str, decision: Decision) -> None:
        """A decision with errors about a cgroup above the pods: a QoS class's, or `root`."""

    def not_applied(self, failure: Failure) -> None:
        """A file did not take its value, even after retries."""

    def passed(self, done: PassDone) -> None:
        """A pass has written files."""

    def pod_gone(self, pod: Pod) -> None:
        """A pod's cgroup vanished without a report by the runtime: forget the pod."""

    def warn_node(self, reason: str, message: str) -> None:
        """Send a Warning Event on the Node."""


class PromotionsPort(Protocol):
    """Exclusive CPUs for running containers: reserved before a full pass, given after it."""

    def before_pass(self) -> None: ...

    def after_pass(self) -> None: ...


class NoPromotions:
    """No promotions: the node is only described."""

    def before_pass(self) -> None: ...

    def after_pass(self) -> None: ...
