"""The only room that talks to the API server. It watches one ConfigMap, this Node, its NodeResourceTopology and its pods, and all
Namespaces if a policy needs their labels. It reads single ResourceClaims of these pods, sends Events, and keeps one annotation of this Node
and its NodeResourceTopology up to date if it is asked to; and it evicts pods. For `koordnri verify` it creates and deletes pods.

Of koordnri it imports the model only. The daemon uses it, and `koordnri verify`. Decisions do not need it: without an API server the daemon
works from what the runtime reports and from its policy file. So nothing here is on the event path.

Does not belong here: what a policy means (koordnri.policy), what follows from a changed pod (the reconciler).

    api = connect(kubeconfig)              # raises NotConfigured, which says which file and what is missing
    pods = PodWatch(api, node_name, on_changed, on_removed, log)
    pods.watch.start(); pods.specs; pods.watch.stop()
"""

from __future__ import annotations

from koordnri.kube.api import Api, connect
from koordnri.kube.claims import ClaimReader
from koordnri.kube.configmap import ConfigMapWatch
from koordnri.kube.errors import ApiRefused, Disconnected, Garbled, KubeError, NotConfigured, Silent, Unreachable
from koordnri.kube.event import Target, node_target, pod_target
from koordnri.kube.events import EventSender
from koordnri.kube.eviction import EvictionAnswer, EvictionSender, Outcome
from koordnri.kube.namespaces import NamespaceWatch
from koordnri.kube.node import NodeFacts, NodeWatch
from koordnri.kube.node_annotation import NodeAnnotation
from koordnri.kube.pod_calls import PodCalls, PodProgress
from koordnri.kube.pods import PodFacts, PodWatch
from koordnri.kube.pools import PoolsWatch
from koordnri.kube.publisher import NotKnown
from koordnri.kube.restart import Restart
from koordnri.kube.stats import WatchStats
from koordnri.kube.timing import Timing
from koordnri.kube.topology_publisher import NodeTopology, TopologyPublisher

__all__ = [
    "Api",
    "ApiRefused",
    "ClaimReader",
    "ConfigMapWatch",
    "Disconnected",
    "EventSender",
    "EvictionAnswer",
    "EvictionSender",
    "Garbled",
    "KubeError",
    "NamespaceWatch",
    "NodeAnnotation",
    "NodeFacts",
    "NodeTopology",
    "NodeWatch",
    "NotConfigured",
    "NotKnown",
    "Outcome",
    "PodCalls",
    "PodFacts",
    "PodProgress",
    "PodWatch",
    "PoolsWatch",
    "Restart",
    "Silent",
    "Target",
    "Timing",
    "TopologyPublisher",
    "Unreachable",
    "WatchStats",
    "connect",
    "node_target",
    "pod_target",
]
