"""The only place that talks to the API server: watches of one ConfigMap, this Node, its NodeResourceTopology and its
pods, and Events.

A leaf: of koordnri it knows the model only, and only the daemon uses it. Nothing here is needed for containers to be decided:
without an API server the daemon works from what the runtime tells and from its policy file, so no call here is on the event path.

What does not belong here: what a policy means (koordnri.policy), what follows from a changed pod (the reconciler).

    api = connect(kubeconfig)              # raises NotConfigured, which says which file and what is missing
    pods = PodWatch(api, node_name, on_changed, on_removed, log)
    pods.watch.start(); pods.watch.wait_synced(5.0); pods.specs; pods.watch.stop()
"""

from __future__ import annotations

from koordnri.kube.api import Api, connect
from koordnri.kube.configmap import ConfigMapWatch
from koordnri.kube.errors import Disconnected, Garbled, KubeError, NotConfigured, Refused, Silent, Unreachable
from koordnri.kube.events import EventRecorder, Target, node_target, pod_target
from koordnri.kube.node import NodeFacts, NodeWatch
from koordnri.kube.pods import PodFacts, PodWatch
from koordnri.kube.pools import PoolsWatch
from koordnri.kube.stats import Restart, WatchStats
from koordnri.kube.timing import Timing

__all__ = [
    "Api",
    "ConfigMapWatch",
    "Disconnected",
    "EventRecorder",
    "Garbled",
    "KubeError",
    "NodeFacts",
    "NodeWatch",
    "NotConfigured",
    "PodFacts",
    "PodWatch",
    "PoolsWatch",
    "Refused",
    "Restart",
    "Silent",
    "Target",
    "Timing",
    "Unreachable",
    "WatchStats",
    "connect",
    "node_target",
    "pod_target",
]
