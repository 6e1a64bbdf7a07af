"""Bandwidths for terway, where `policies.netQOSPolicy` is terway-qos and the daemon may write its files.

    global_bps_config   the node's bandwidth, and what lsClass (l1) and beClass (l2) have of it: `offline_l1_tx_bps_min 1000`, a line each
    pod.json            pod's uid → its name, priority (0 SYSTEM, 1 LSE, LSR and LS, 2 BE), cgroup, and limits by its annotation
                        `koordinator.sh/networkQOS`

All are bytes/s. A percent is one of totalNetworkBandwidth; without that it is 0, which means no limit. What a file held before is saved
before the first write, and given back; pod.json, whose pods come and go, is removed. Each pass compares again, so that a foreign write
is healed within 10 s. A pod whose annotation cannot be read is listed without limits; the hook `network` reports it to its owner.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping

import msgspec

from koordnri.chain import Snapshot
from koordnri.host.cgroup.paths import pod_directory
from koordnri.host.terway import TerwayFiles
from koordnri.model import KubeQoS, NodeError, Pod, QoSClass
from koordnri.model.errors import AnnotationError
from koordnri.model.log import Log
from koordnri.resctrl.choice import left_alone

RIGHT = "terway"
"""word of `--write`"""
HOOK = "network"
NODE, PODS = "global_bps_config", "pod.json"
_CGROUPS = "/sys/fs/cgroup/net_cls"
_PRIORITIES = {QoSClass.SYSTEM: 0, QoSClass.LSE: 1, QoSClass.LSR: 1, QoSClass.LS: 1, QoSClass.BE: 2}


class Terway:
    """Used by the reconcile thread.

    originals   file → its text before us, "" where it is to be removed; as saved
    save        saves the originals now; reports a failure itself
    """

    def __init__(
        self, files: TerwayFiles, originals: Mapping[str, str], save: Callable[[dict[str, str]], None], log: Log
    ) -> None:
        self._files = files
        self._originals = dict(originals)
        self._save = save
        self._log = log
        self._problem = ""

    def follow(self, snapshot: Snapshot, pods: Iterable[Pod]) -> None:
        """Bring the files to what the policy says. `pods`: all of the node."""
        policy, node = snapshot
        wanted = policy.qos.policies.net_qos_policy == "terway-qos" and policy.hook_mode(HOOK) == "enforce"
        if not wanted and not self._originals:
            return
        try:
            if wanted and RIGHT in node.writes and "*" not in node.released:
                self._put(NODE, node_text(snapshot))
                self._put(PODS, pods_text(snapshot, pods))
            elif self._originals:
                self._give_back()
            self._problem = ""
        except OSError as error:
            if str(error) != self._problem:
                self._log.warning("terway_files", error=str(error))
            self._problem = str(error)

    def _put(self, name: str, text: str) -> None:
        present = self._files.read(name)
        if name not in self._originals:
            self._originals[name] = (present or "") if name == NODE else ""
            self._save(self._originals)
        if present != text:
            self._files.write(name, text)

    def _give_back(self) -> None:
        for name, text in self._originals.items():
            if text:
                self._files.write(name, text)
            else:
                self._files.remove(name)
        self._originals = {}
        self._save({})


def node_text(snapshot: Snapshot) -> str:
    """The text of global_bps_config."""
    qos, total = snapshot.policy.qos, snapshot.policy.system.total_network_bandwidth
    lines = {"hw_tx_bps_max": total // 8, "hw_rx_bps_max": total // 8}
    for level, network in (("l1", qos.ls.network), ("l2", qos.be.network)):
        has = network.bytes_per_second(total)
        lines |= {
            f"offline_{level}_tx_bps_min": has.egress_request,
            f"offline_{level}_tx_bps_max": has.egress_limit,
            f"offline_{level}_rx_bps_min": has.ingress_request,
            f"offline_{level}_rx_bps_max": has.ingress_limit,
        }
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def pods_text(snapshot: Snapshot, pods: Iterable[Pod]) -> str:
    """The text of pod.json, without pods that are left alone and those without a cgroup."""
    policy, node = snapshot
    found = {}
    for pod in sorted(pods, key=lambda pod: pod.uid):
        with contextlib.suppress(NodeError):
            if not left_alone(pod, policy, node.released):
                found[pod.uid] = {
                    "podName": pod.name,
                    "podNamespace": pod.namespace,
                    "podUID": pod.uid,
                    "prio": _priority(pod),
                    "cgroupDir": f"{_CGROUPS}/{pod_directory(pod.cgroup_parent)}",
                    "qosConfig": _limits(pod, snapshot),
                }
    return msgspec.json.encode(found).decode()


def _limits(pod: Pod, snapshot: Snapshot) -> dict[str, int]:
    limits = None
    with contextlib.suppress(AnnotationError):
        limits = snapshot.policy.network_qos(pod)
    total = snapshot.policy.system.total_network_bandwidth
    ingress, egress = (0, 0) if limits is None else limits.bytes_per_second(total)
    return {"ingressBandwidth": ingress, "egressBandwidth": egress}


def _priority(pod: Pod) -> int:
    known = _PRIORITIES.get(pod.qos)
    if known is not None:
        return known
    return 2 if pod.kube_qos is KubeQoS.BESTEFFORT else 1
