"""What follows when the policy, the node or a pod has changed."""

from __future__ import annotations

from collections.abc import Callable

from koordnri.chain import Snapshot
from koordnri.daemon.events import Events
from koordnri.daemon.exclusive_cpus import ExclusiveCPUs
from koordnri.daemon.node_facts import ReportedFacts
from koordnri.model.log import Log
from koordnri.model.pod import PodSpec
from koordnri.observe.policy_warnings import PolicyWarnings
from koordnri.policy.standing import RefusedPolicy, StandingPolicy
from koordnri.session.handler import EventHandler
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.state.containment import Faults
from koordnri.state.ledger import Ledger
from koordnri.state.present import Present


class Changes:
    """Any thread may call it. Methods `on_…` are called for news from the API server; see koordnri.daemon.cluster.Follower.

    changed   called with a pod (None: all) whose files may have to follow
    want_namespaces   called with whether the policy in force needs the labels of namespaces
    """

    def __init__(
        self,
        present: Present,
        facts: ReportedFacts,
        standing: StandingPolicy,
        handler: EventHandler,
        ledger: Ledger,
        cpus: ExclusiveCPUs | None,
        changed: Callable[[str | None], None],
        policy_warnings: PolicyWarnings,
        events: Events,
        faults: Faults,
        log: Log,
        want_namespaces: Callable[[bool], None] = lambda wanted: None,
    ) -> None:
        self._present = present
        self._facts = facts
        self._standing = standing
        self._handler = handler
        self._ledger = ledger
        self._cpus = cpus
        self._changed = changed
        self._policy_warnings = policy_warnings
        self._events = events
        self._faults = faults
        self._log = log
        self._want_namespaces = want_namespaces

    # -- the policy ---------------------------------------------------------------------------------------------------

    def enforce(self) -> None:
        """Another policy is in force, or the node has changed: from now on everything is decided with it."""
        self._present.take()
        self._want_namespaces(self._present.snapshot.policy.trust.needs_namespace_labels)
        self._judge_again()
        self._changed(None)
        self._policy_warnings.update(self._standing.document, self._present.snapshot)

    def _judge_again(self) -> bool:
        """Apply the trust rules in force to all pods; those of most pods did not change. Returns whether another input of a pod is believed
        now.
        """
        changed = False
        for before in self._ledger.pods():
            pod = self._ledger.judge(before.id, self._present.snapshot.believed)
            if pod is None or pod is before:
                continue
            changed = True
            if self._cpus is not None:
                self._cpus.pod_changed(pod)
        if self._cpus is not None:
            self._cpus.trust_changed()
        return changed

    def policy_refused(self, refused: RefusedPolicy) -> None:
        """A document was refused."""
        revision = self._present.snapshot.policy.revision
        self._events.warn_node("PolicyRefused", f"{refused.source}: {refused}; revision {revision} stays in force")

    # -- the node -----------------------------------------------------------------------------------------------------

    def scan_node(self, full: bool, node_changed: bool = False) -> None:
        """Check whether the node has changed.

        full           read everything, not only facts that can make a decision harmful
        node_changed   the Node object changed, so there is news, whatever the host's files say
        """
        with self._faults.within("node"):
            if self._present.scan(full) or node_changed:
                self.enforce()
                self._log.info("node_changed", problems=list(self._present.snapshot.node.problems))

    def take_runtime(self, runtime: RuntimeInfo) -> None:
        """A runtime has accepted our registration; its features are part of the node state."""
        with self._faults.within("node"):
            self._facts.runtime = runtime
            self._present.take()

    def publish(self, snapshot: Snapshot) -> None:
        """From now on the event path decides with this snapshot."""
        empty = snapshot.node.empty_pools
        if empty and empty != self._handler.snapshot.node.empty_pools:
            problem = next((p for p in snapshot.node.problems if "share pool" in p), "")
            self._log.warning("share_pool_empty", pools=list(empty), error=problem)
            self._events.warn_node("SharePoolEmpty", problem)
        self._handler.snapshot = snapshot

    # -- changes from the API server ----------------------------------------------------------------------------------

    def on_node(self) -> None:
        """The Node object, or its NodeResourceTopology, has changed."""
        self.scan_node(full=False, node_changed=True)

    def on_namespaces(self) -> None:
        """Labels of namespaces are known, or others than before."""
        self._present.take()
        if self._judge_again():
            self._changed(None)

    def on_pod(self, pod_id: str) -> None:
        """A pod's annotations, labels or spec have changed."""
        pod = self._ledger.pod(pod_id)
        if self._cpus is not None and pod is not None:
            self._cpus.pod_changed(pod)
        self._changed(pod_id)

    def on_spec(self, uid: str, spec: PodSpec) -> None:
        """A pod's spec is known."""
        if self._cpus is not None:
            self._cpus.spec_known(uid)

    def on_end(self, uid: str) -> None:
        """A pod has ended."""
        if self._cpus is not None and self._cpus.pod_ended(uid):
            self._changed(None)  # the pod no longer counts for its class and resctrl groups
