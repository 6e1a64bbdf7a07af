"""What holds now: the node as it is, under the policy that stands. Everybody who decides reads `snapshot`."""

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
from koordnri.model.log import Log
from koordnri.policy import DEFAULT_POLICY, Policy, PolicyDocument, resolve


class Present:
    """The snapshot is swapped by one assignment, so readers take no lock; who makes a new one waits for the other who does.

    node       as the host's files tell it, or as it is described
    root       where the host's files are; None: the node is only described
    document   the policy document that stands
    told       adds what the API server says of the node
    publish    told of each new snapshot, for who reads it too often to ask
    """

    def __init__(
        self,
        node: NodeState,
        root: Path | None,
        document: Callable[[], PolicyDocument | None],
        told: Callable[[NodeState], NodeState],
        allocator: Allocator,
        log: Log,
        publish: Callable[[Snapshot], None] = lambda snapshot: None,
    ) -> None:
        self.node = node
        self.kubelet = KubeletPins()
        """what kubelet gave to single containers"""
        self.snapshot = Snapshot.of(DEFAULT_POLICY, node)
        self._root = root
        self._document = document
        self._told = told
        self.allocator = allocator
        self._log = log
        self._publish = publish
        self._released: frozenset[str] = frozenset()
        self._resolved: tuple[PolicyDocument | None, str, Mapping[str, str], Policy] | None = None
        self._expired = False
        self._lock = threading.Lock()

    def take(self) -> None:
        """Make the snapshot anew: the policy, the node, what the cluster says of it, or an assignment of CPUs has changed."""
        with self._lock:
            self._expired = False
            before = self.snapshot.policy.notes
            self.snapshot = self.under(self._document())
            self._publish(self.snapshot)
        for note in self.snapshot.policy.notes:
            if note not in before:
                self._log.warning("policy_note", note=note)

    def expire(self) -> None:
        """Something changed that can wait until everything is decided anew: `up_to_date` sees to it."""
        self._expired = True

    def up_to_date(self) -> Snapshot:
        """The snapshot, made anew if it had expired."""
        if self._expired:
            self.take()
        return self.snapshot

    def under(self, document: PolicyDocument | None) -> Snapshot:
        """What would hold under a document; None stands for the defaults."""
        node = self._told(self.node)
        if self._released:
            node = replace(node, released=self._released)
        snapshot = Snapshot.of(self._policy(document, node), node)
        # After the policy, which may reserve CPUs; what is given is known to nobody else.
        node = self.kubelet.applied(snapshot.node)
        return snapshot._replace(node=self.allocator.applied(node, snapshot.policy.cpuset))

    def _policy(self, document: PolicyDocument | None, node: NodeState) -> Policy:
        asked, resolved = (document, node.name, node.labels), self._resolved
        if resolved is None or resolved[0] is not document or resolved[:3] != asked:
            # Another thread may be asking what would hold under another document: its answer must not become ours.
            resolved = self._resolved = (*asked, resolve(*asked))
        return resolved[3]

    def scan(self, full: bool) -> bool:
        """Look at the host's files; True when the node is another one than before."""
        if self._root is None:
            return False
        node = refresh(self.node, self._root, full)
        changed = node is not self.node
        self.node = node
        return changed

    def let_go(self, pods: frozenset[str]) -> None:
        """These pods (ids, "*" for all) are kubelet's from now on."""
        with self._lock:  # the control socket serves several at once, and none of them may lose what another released
            self._released |= pods
        self.take()
        self._log.info("released", pods=sorted(pods))
