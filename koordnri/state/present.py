"""What holds now: the present node under the policy in force. All deciders read `snapshot`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from koordnri.chain import Snapshot
from koordnri.cpus.allocator import Allocator
from koordnri.cpus.kubelet_pins import KubeletPins
from koordnri.host import refresh
from koordnri.model import NodeState
from koordnri.model.control import NO_CONTROL, Control
from koordnri.model.log import Log
from koordnri.policy import DEFAULT_POLICY, Policy, PolicyDocument, resolve


class Present:
    """The snapshot is replaced by one assignment, so readers need no lock. A lock serialises those who make a new one.

    node       as read from the host's files, or as described
    root       where the host's files are; None: the node is only described
    document   the policy document in force
    reported   adds what the runtime and the API server report about the node
    """

    def __init__(
        self,
        node: NodeState,
        root: Path | None,
        document: Callable[[], PolicyDocument | None],
        reported: Callable[[NodeState], NodeState],
        allocator: Allocator,
        log: Log,
    ) -> None:
        self.node = node
        self.kubelet = KubeletPins()
        """CPUs that kubelet pinned containers to"""
        self.snapshot = Snapshot.of(DEFAULT_POLICY, node)
        self._root = root
        self._document = document
        self._reported = reported
        self.allocator = allocator
        self._log = log
        self._publish: list[Callable[[Snapshot], None]] = []
        self._released: frozenset[str] = frozenset()
        self._control = NO_CONTROL
        self._resolved: tuple[PolicyDocument | None, str, Mapping[str, str], Policy] | None = None
        self._expired = False
        self._lock = threading.Lock()
        self._scanning = threading.Lock()

    def take(self) -> None:
        """Make a new snapshot: the policy, the node, the API server's facts or exclusive CPUs have changed."""
        with self._lock:
            self._expired = False
            before = self.snapshot.policy.notes
            self.snapshot = self.under(self._document())
            for publish in self._publish:
                publish(self.snapshot)
        for note in self.snapshot.policy.notes:
            if note not in before:
                self._log.warning("policy_note", note=note)

    def publish_to(self, publish: Callable[[Snapshot], None]) -> None:
        """Call this with the snapshot now, and with each later one, for readers on hot paths."""
        with self._lock:
            self._publish.append(publish)
            publish(self.snapshot)

    def expire(self) -> None:
        """Something changed that can wait until the next full pass, which calls `up_to_date`."""
        self._expired = True

    def up_to_date(self) -> Snapshot:
        """The snapshot; made again if it had expired."""
        if self._expired:
            self.take()
        return self.snapshot

    def under(self, document: PolicyDocument | None) -> Snapshot:
        """The snapshot that would hold under a document; None: under the defaults."""
        node = self._reported(self.node)
        if self._released:
            node = replace(node, released=self._released)
        if self._control is not NO_CONTROL:
            node = replace(node, control=self._control)
        snapshot = Snapshot.of(self._policy(document, node), node)
        # Applied after the policy, which may reserve CPUs.
        node, policy = self.kubelet.applied(snapshot.node), snapshot.policy
        self.allocator.note_pins(self.kubelet.pins)
        return snapshot._replace(node=self.allocator.applied(node, policy.cpuset, policy.trust.observed_limits))

    def _policy(self, document: PolicyDocument | None, node: NodeState) -> Policy:
        asked, resolved = (document, node.name, node.labels), self._resolved
        if resolved is None or resolved[0] is not document or resolved[:3] != asked:
            # Another thread may resolve another document at the same time; do not return its result.
            resolved = self._resolved = (*asked, resolve(*asked))
        return resolved[3]

    def scan(self, full: bool) -> bool:
        """Read the host's files. Returns whether the node has changed."""
        if self._root is None:
            return False
        with self._scanning:  # the main thread and the watch of the Node both scan; the older result must not come last
            node = refresh(self.node, self._root, full)
            changed = node is not self.node
            self.node = node
        return changed

    def control(self, wanted: Control) -> tuple[NodeState, NodeState]:
        """Controllers want something else. Returns the node state before and after, which differ in nothing more."""
        with self._lock:
            self._control, before = wanted, self.snapshot.node
            self.snapshot = self.snapshot._replace(node=replace(before, control=wanted))
            for publish in self._publish:
                publish(self.snapshot)
            return before, self.snapshot.node

    def let_go(self, pods: frozenset[str]) -> None:
        """Release these pods (ids, "*" for all): they are kubelet's from now on."""
        with self._lock:  # the control socket serves several requests at once; none may lose what another released
            self._released |= pods
        self.take()
        self._log.info("released", pods=sorted(pods))
