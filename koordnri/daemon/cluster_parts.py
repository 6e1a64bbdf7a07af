"""The daemon's parts that talk to the API server. A daemon that takes its policy from a file and has no kubeconfig has none of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from koordnri.daemon.config import Config, ConfigError
from koordnri.daemon.events import Events
from koordnri.model import Pod
from koordnri.model.log import Log
from koordnri.state.containment import Faults
from koordnri.state.ledger import Ledger

if TYPE_CHECKING:  # see make_cluster for why not at run time
    from koordnri.daemon.cluster import Cluster, ClusterEvents
    from koordnri.kube import Api, NodeAnnotation


class ClusterParts(NamedTuple):
    """None: there is no API server, or this was not asked for."""

    events: Events
    faults: Faults
    api: Api | None = None
    cluster_events: ClusterEvents | None = None
    cluster: Cluster | None = None
    annotation: NodeAnnotation | None = None


def make_cluster(
    config: Config,
    events: Events,
    ledger: Ledger,
    log: Log,
    die: Callable[[BaseException], None],
    believed: Callable[[Pod], Pod],
) -> ClusterParts:
    """The parts of this configuration. Raises ConfigError when the API server is needed and not configured.

    events     Events of a daemon without the API server
    die        called with the exception that ended a thread
    believed   the pod without what the policy's trust rules take away
    """
    if config.kubeconfig is None and config.policy_configmap is None:
        if config.annotate_node:
            raise ConfigError("--annotate-node needs the API server: give --policy-configmap or --kubeconfig")
        return ClusterParts(events, Faults(log, events.warn_pod, events.warn_node))
    # Imported here: the official client costs 0.2 s and 20 MiB, and a daemon with a policy file needs none of it.
    from koordnri.daemon.cluster import Cluster, ClusterEvents
    from koordnri.kube import NodeAnnotation, NotConfigured, connect

    try:
        api = connect(config.kubeconfig)
    except NotConfigured as error:
        raise ConfigError(str(error)) from error
    name = config.node_name
    sender = ClusterEvents(api, name, log, die)
    faults = Faults(log, sender.warn_pod, sender.warn_node)
    cluster = Cluster(api, name, config.policy_configmap, ledger, log, die, faults, believed)
    annotation = None
    if config.annotate_node:
        if not name:
            raise ConfigError("--annotate-node needs the name of this Node: give --node-name")
        annotation = NodeAnnotation(api, name, cluster.published_policy, log, die)
    return ClusterParts(sender, faults, api, sender, cluster, annotation)
