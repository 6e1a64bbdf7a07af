"""Brings news from the API server to where it is needed: the policy, the Node object, its share pools, its pods. Sends Events, for people
who use kubectl.

Everything here may be late or missing; then the daemon decides from what the runtime reports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from koordnri.daemon.events import Events
from koordnri.daemon.namespaces import Namespaces
from koordnri.kube import (
    Api,
    ClaimReader,
    ConfigMapWatch,
    EventSender,
    NamespaceWatch,
    NodeFacts,
    NodeWatch,
    PodFacts,
    PodWatch,
    PoolsWatch,
    WatchStats,
)
from koordnri.kube.event import node_target, pod_target
from koordnri.kube.events import EventStats
from koordnri.kube.node import Amounts
from koordnri.kube.watch import Watch
from koordnri.model import NodeState, Pod
from koordnri.model.log import Log
from koordnri.model.node_annotations import AnnotatedNode, SharedPools, read_node_annotations, read_shared_pools
from koordnri.model.pod import PodSpec
from koordnri.model.topology import Topology
from koordnri.state.containment import Faults
from koordnri.state.ledger import Ledger

ENDED = frozenset({"Succeeded", "Failed"})
"""Phases of a pod whose containers have ended for good."""

OnPolicy = Callable[[Mapping[str, str] | None, str], None]


class _Annotated(NamedTuple):
    """What the annotations of the Node and of its NodeResourceTopology mean on a node with this topology."""

    facts: NodeFacts | None
    texts: Mapping[str, str] | None
    topology: Topology | None
    by_node: AnnotatedNode
    by_topology: SharedPools


class Follower(Protocol):
    """Receives news from the API server; each call comes from a watch's thread."""

    def on_node(self) -> None:
        """The Node object or its NodeResourceTopology changed, or was read for the first time."""

    def on_namespaces(self) -> None:
        """Labels of namespaces changed, or were read for the first time."""

    def on_pod(self, pod_id: str) -> None:
        """A pod has changed, and the ledger has the new version."""

    def on_spec(self, uid: str, spec: PodSpec) -> None:
        """A pod was reported, whether it is in the ledger or not; `overlay` has its spec by then."""

    def on_end(self, uid: str) -> None:
        """A pod's phase is Succeeded or Failed, even if it was so in the first list; once per uid. kubelet before 1.22 reports an evicted
        pod as Failed a moment before it stops the pod's containers.
        """


class _Nobody:
    def on_node(self) -> None: ...

    def on_namespaces(self) -> None: ...

    def on_pod(self, pod_id: str) -> None: ...

    def on_spec(self, uid: str, spec: PodSpec) -> None: ...

    def on_end(self, uid: str) -> None: ...


class ClusterEvents(Events):
    """Events through the API server."""

    def __init__(self, api: Api, node_name: str, log: Log, on_death: Callable[[BaseException], None]) -> None:
        self._node_name = node_name
        self._sender = EventSender(api, node_name, log, on_death=on_death)

    @property
    def stats(self) -> EventStats:
        """The sender's counters."""
        return self._sender.stats

    def start(self) -> None:
        """Start sending."""
        self._sender.start()

    def stop(self) -> None:
        """Stop sending."""
        self._sender.stop()

    def warn_pod(self, pod: Pod, reason: str, message: str) -> None:
        """A Warning on a pod: something that its owner must know."""
        if not pod.uid:  # not a pod of kubelet's, so the API server does not know it
            self.warn_node(reason, f"pod {pod.namespace}/{pod.name}: {message}")
        else:
            self._sender.post(pod_target(pod.namespace, pod.name, pod.uid), reason, message)

    def announce_pod(self, pod: Pod, reason: str, message: str) -> None:
        """A Normal Event on a pod: something is as it should be."""
        self._sender.post(pod_target(pod.namespace, pod.name, pod.uid), reason, message, "Normal")

    def warn_node(self, reason: str, message: str) -> None:
        """A Warning on this Node."""
        self._sender.post(node_target(self._node_name), reason, message)


class Cluster:
    """The watches. Call `start` and `stop`. Their news goes to the follower, from their threads.

    configmap   (namespace, name) of the policy, None when it comes from a file
    on_death    called when a bug ended a watch's thread
    faults      contains a bug in handling an object to that object
    believe     takes from a pod what the trust rules in force refuse
    """

    def __init__(
        self,
        api: Api,
        node_name: str,
        configmap: tuple[str, str] | None,
        ledger: Ledger,
        log: Log,
        on_death: Callable[[BaseException], None],
        faults: Faults,
        believe: Callable[[Pod], Pod],
    ) -> None:
        self._ledger = ledger
        self._faults = faults
        self._believe = believe
        self._follower: Follower = _Nobody()
        self._on_policy: OnPolicy = lambda data, source: None
        self._on_writer: Callable[[str], None] = lambda writer: None
        self._ended: set[str] = set()
        """uids of ended pods that were reported to the follower and still exist in the API server"""
        self._facts: NodeFacts | None = None
        self._node_answered = False
        self._topology: Mapping[str, str] | None = None
        """share pools in the annotations of the NodeResourceTopology; None: not read yet"""
        self._annotated: _Annotated | None = None
        """the last result of reading the annotations"""
        self._node = NodeWatch(api, node_name, faults.around("node", self._take_node), log, on_death=on_death)
        take_pools = faults.around("node", self._take_pools)
        take_writer = faults.around("node", lambda writer: self._on_writer(writer))
        self._pools = PoolsWatch(api, node_name, take_pools, log, take_writer, on_death=on_death)
        self._pods = PodWatch(
            api,
            node_name,
            faults.around("pod", self._take_pod),
            self._ended.discard,
            log,
            ClaimReader(api).cpus_by_driver,
            on_death=on_death,
        )
        self._watches: dict[str, Watch[Any]] = {
            "node": self._node.watch,
            "noderesourcetopology": self._pools.watch,
            "pods": self._pods.watch,
        }
        if configmap is not None:
            source = f"ConfigMap {configmap[0]}/{configmap[1]}"
            take = faults.around("policy", lambda data, version: self._on_policy(data, source))
            policy = ConfigMapWatch(api, *configmap, take, log, on_death=on_death)
            self._watches["configmap"] = policy.watch
        take_labels = faults.around("namespaces", lambda: self._follower.on_namespaces())
        self.namespaces = Namespaces(lambda: NamespaceWatch(api, take_labels, log, on_death=on_death))
        """labels of namespaces; watched while they are wanted"""

    def start(
        self, follower: Follower, on_policy: OnPolicy, on_writer: Callable[[str], None] = lambda writer: None
    ) -> None:
        """Start all watches, without waiting for them.

        on_policy   called with the ConfigMap's data (None: there is no such ConfigMap), and its name for messages
        on_writer   called with who writes the NodeResourceTopology (koordnri.kube.topology_object.writer_of), whenever it was seen
        """
        self._follower, self._on_policy, self._on_writer = follower, on_policy, on_writer
        self.namespaces.start()
        for watch in self._watches.values():
            watch.start()

    def stop(self) -> None:
        """Stop them."""
        self.namespaces.stop()
        for watch in self._watches.values():
            watch.stop()

    @property
    def synced(self) -> bool:
        """Whether every watch has listed its objects once."""
        return all(watch.synced for watch in self._watches.values())

    @property
    def answered(self) -> bool:
        """The same, with Namespaces where the policy needs their labels."""
        return self.synced and all(watch.synced for watch in self.namespaces.watches.values())

    def published_policy(self) -> str | None:
        """The annotation about the policy that the Node has, "" for none; None until all objects were read once."""
        return self._node.published if self.synced else None

    def node_uid(self) -> str | None:
        """The Node's uid, "" when there is no such Node; None until all objects were read once."""
        facts = self._facts
        return None if not self.synced else "" if facts is None else facts.uid

    def node_amounts(self) -> Amounts:
        """What the Node offers and keeps, for controllers."""
        return self._node.amounts

    def stats(self) -> dict[str, WatchStats]:
        """kind → counters of its watch"""
        return {noun: watch.stats for noun, watch in self._all().items()}

    def policy_problem(self) -> str:
        """Why the policy's ConfigMap has not been read yet; "" when it has, or is not wanted."""
        watch = self._watches.get("configmap")
        return "" if watch is None or watch.synced else _problem(watch)

    def problems(self) -> dict[str, str]:
        """kind → why its watch is down; "" while it is up."""
        return {noun: _problem(watch) for noun, watch in self._all().items()}

    def _all(self) -> dict[str, Watch[Any]]:
        return {**self._watches, **self.namespaces.watches}

    def applied(self, node: NodeState) -> NodeState:
        """The node state with the facts from the API server; unchanged while they are not known."""
        facts = self._facts
        by_node, by_topology = self._read(facts, node.topology)
        awaited = not self._node_answered or self._topology is None
        node = replace(node, pools_awaited=awaited, namespace_labels=self.namespaces.labels)
        if facts is not None:
            node = replace(
                node,
                labels=facts.labels,
                annotations=facts.annotations,
                memory_bytes=facts.allocatable_memory_bytes or node.memory_bytes,
            )
            node = by_node.applied(node)
        return by_topology.applied(node)

    def _read(self, facts: NodeFacts | None, topology: Topology | None) -> tuple[AnnotatedNode, SharedPools]:
        """The annotations of both objects, parsed once: this is called at each choice of CPUs, on the event path."""
        texts, read = self._topology, self._annotated
        if read is None or read.facts is not facts or read.texts is not texts or read.topology is not topology:
            by_node = AnnotatedNode() if facts is None else read_node_annotations(facts.annotations, topology)
            by_topology = read_shared_pools(texts or {}, None if topology is None else topology.online)
            read = self._annotated = _Annotated(facts, texts, topology, by_node, by_topology)
        return read.by_node, read.by_topology

    def overlay(self, pod: Pod) -> Pod:
        """A pod from the runtime, with later changes and its spec."""
        facts = self._pods.of(pod.uid, pod.namespace, pod.name)
        return pod if facts is None else _overlaid(pod, facts)

    def _take_node(self, facts: NodeFacts | None) -> None:
        self._facts, self._node_answered = facts, True
        self._follower.on_node()

    def _take_pools(self, pools: Mapping[str, str]) -> None:
        self._topology = pools
        self._follower.on_node()

    def _take_pod(self, facts: PodFacts) -> None:
        sandboxes = self._ledger.sandboxes(facts.uid)
        if any((known.namespace, known.name) != (facts.namespace, facts.name) for known in sandboxes):
            return  # a pod that claims another's uid by the annotation of mirror pods
        for known in sandboxes:
            if self._ledger.update_pod(self._believe(_overlaid(known, facts))):
                self._ledger.judge(known.id, self._believe)
                with self._faults.within("pod"):
                    self._follower.on_pod(known.id)
        with self._faults.within("pod"):
            self._follower.on_spec(facts.uid, facts.spec)
        if facts.phase in ENDED and facts.uid not in self._ended:
            self._ended.add(facts.uid)
            with self._faults.within("pod"):
                self._follower.on_end(facts.uid)


def _problem(watch: Watch[Any]) -> str:
    return watch.stats.problem or ("" if watch.synced else "the API server has not answered yet")


def _overlaid(pod: Pod, facts: PodFacts) -> Pod:
    return replace(
        pod,
        labels=facts.labels,
        annotations=facts.annotations_over(pod.reported),
        reported=pod.reported,
        spec=facts.spec,
        parsed={},
        verdicts=(),
        raw=None,
        judged_by=None,
    )
