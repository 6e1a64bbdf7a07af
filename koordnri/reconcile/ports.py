"""What the reconciler needs of others: the machine that it works on, somebody who is told, and exclusive CPUs."""

from __future__ import annotations

from typing import Protocol

from koordnri.host.cgroup.writer import Writer
from koordnri.model import Decision, Pod
from koordnri.reconcile.failures import Failure
from koordnri.state.world import World


class Machine(Protocol):
    """What a pass decides by, and where it writes."""

    def world(self) -> World:
        """Policy, node and runtime as they are now."""

    def writer(self, cgroup_version: int) -> Writer:
        """A writer for one pass."""

    def save(self) -> None:
        """Put the ledger's notes on disk at once."""


class Reports(Protocol):
    """Who is told what the reconciler finds."""

    def decided_again(self, pod: Pod, container: str, decision: Decision) -> None:
        """A decision of a pod's own cgroup (container is "" then), or of a container in which errors are."""

    def class_decided_again(self, kube_class: str, decision: Decision) -> None:
        """A decision, in which errors are, of a cgroup above the pods: a QoS class's, or `root`."""

    def not_applied(self, failure: Failure) -> None:
        """A file that did not take its value, though it was tried again."""

    def pod_gone(self, pod: Pod) -> None:
        """A pod's cgroup went without a word of the runtime; it is to be forgotten."""

    def tell_node(self, reason: str, message: str) -> None:
        """A Warning Event on the Node."""


class Promotions(Protocol):
    """Exclusive CPUs for containers that run: reserved before a pass over everything, given after it."""

    def before_pass(self) -> None: ...

    def after_pass(self) -> None: ...


class NoPromotions:
    """Nobody promotes: the node is only described."""

    def before_pass(self) -> None: ...

    def after_pass(self) -> None: ...
