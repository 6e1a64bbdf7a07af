"""What the API server tells this node, brought to where it is needed: the policy, the Node object, the node's pods. And what it
is told: Events, for people who look with kubectl.

Everything here may be late or missing; the daemon decides without it, from what the runtime tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from koordnri.kube import Api, ConfigMapWatch, EventRecorder, NodeFacts, NodeWatch, PodFacts, PodWatch, WatchStats
from koordnri.kube.events import node_target, pod_target
from koordnri.kube.watch import Watch
from koordnri.ledger import Ledger
from koordnri.model import NodeState, Pod
from koordnri.model.node_annotations import AnnotatedNode, read_node_annotations
from koordnri.model.pod import PodSpec
from koordnri.model.topology import Topology

OnPolicy = Callable[[Mapping[str, str] | None, str], None]


class Cluster:
    """The watches. `start` and `stop` them; everything else is called back from their threads.

    configmap   (namespace, name) of the policy, None when it comes from a file
    on_policy   the ConfigMap's data, None when there is no such ConfigMap, and where it comes from, for messages
    on_node     the Node object changed
    on_pod      the id of a pod that is told otherwise than before, once the ledger has it
    on_spec     uid and spec of a pod that is told, whether the ledger has it or not; `overlay` knows it by then
    on_death    a watch's thread died of a bug
    """

    def __init__(
        self,
        api: Api,
        node_name: str,
        configmap: tuple[str, str] | None,
        ledger: Ledger,
        log: Any,
        on_policy: OnPolicy,
        on_node: Callable[[], None],
        on_pod: Callable[[str], None],
        on_spec: Callable[[str, PodSpec], None],
        on_death: Callable[[BaseException], None],
    ) -> None:
        self._ledger = ledger
        self._on_node = on_node
        self._on_pod = on_pod
        self._on_spec = on_spec
        self._facts: NodeFacts | None = None
        self._annotated: tuple[NodeFacts, Topology | None, AnnotatedNode] | None = None
        """the Node object and the topology that were read last → what its annotations say"""
        self._node_name = node_name
        self._events = EventRecorder(api, node_name, log, on_death=on_death)
        self._node = NodeWatch(api, node_name, self._take_node, log, on_death=on_death)
        self._pods = PodWatch(api, node_name, self._take_pod, lambda uid: None, log, on_death=on_death)
        self._watches: dict[str, Watch[Any]] = {"node": self._node.watch, "pods": self._pods.watch}
        if configmap is not None:
            source = f"ConfigMap {configmap[0]}/{configmap[1]}"
            policy = ConfigMapWatch(
                api, *configmap, lambda data, version: on_policy(data, source), log, on_death=on_death
            )
            self._watches["configmap"] = policy.watch

    def start(self) -> None:
        """Start all watches, and to tell Events; none is waited for."""
        self._events.start()
        for watch in self._watches.values():
            watch.start()

    def stop(self) -> None:
        """End them."""
        self._events.stop()
        for watch in self._watches.values():
            watch.stop()

    @property
    def synced(self) -> bool:
        """Whether every watch has listed its objects once."""
        return all(watch.synced for watch in self._watches.values())

    def stats(self) -> dict[str, WatchStats]:
        """Noun → its watch's counters."""
        return {noun: watch.stats for noun, watch in self._watches.items()}

    def tell_pod(self, pod: Pod, reason: str, message: str) -> None:
        """A Warning Event on a pod: something that its owner has to know. Never blocks."""
        self._events.record(pod_target(pod.namespace, pod.name, pod.uid), reason, message)

    def tell_node(self, reason: str, message: str) -> None:
        """A Warning Event on this Node. Never blocks."""
        self._events.record(node_target(self._node_name), reason, message)

    def policy_problem(self) -> str:
        """Why the policy's ConfigMap has not been read yet; "" when it has, or is not wanted."""
        watch = self._watches.get("configmap")
        if watch is None or watch.synced:
            return ""
        return watch.stats.problem or "the API server has not answered yet"

    def told(self, node: NodeState) -> NodeState:
        """The node's state with what its object says; as it is while that is not known."""
        facts = self._facts
        if facts is None:
            return node
        read = self._annotated
        if read is None or read[0] is not facts or read[1] is not node.topology:
            # Asked for whenever an assignment of CPUs changes, while a runtime waits.
            read = (facts, node.topology, read_node_annotations(facts.annotations, node.topology))
            self._annotated = read
        node = replace(
            node,
            labels=facts.labels,
            annotations=facts.annotations,
            memory_bytes=facts.allocatable_memory_bytes or node.memory_bytes,
        )
        return read[2].applied(node)

    def overlay(self, pod: Pod) -> Pod:
        """A pod as the runtime told it, with what has changed of it since and what its spec says."""
        facts = self._pods.pods.get(pod.uid)
        return pod if facts is None else _over(pod, facts)

    def _take_node(self, facts: NodeFacts | None) -> None:
        self._facts = facts
        self._on_node()

    def _take_pod(self, facts: PodFacts) -> None:
        for known in self._ledger.pods():
            if known.uid == facts.uid and self._ledger.update_pod(_over(known, facts)):
                self._on_pod(known.id)
        self._on_spec(facts.uid, facts.spec)


def _over(pod: Pod, facts: PodFacts) -> Pod:
    return replace(
        pod,
        labels=facts.labels,
        annotations=facts.annotations_over(pod.told),
        told=pod.told,
        spec=facts.spec,
        parsed={},
    )
