"""What requests and watches cost an API server: figures that were measured, and the limits that it sets by default.

Measured on a virtual machine (2 CPUs, Intel Xeon): bytes as they came over HTTP/1.1 from kube-apiserver 1.37.2 on 2026-11-30; user and
system time of its process for some hundred requests, and its memory per watch, with kube-apiserver 1.20.2 and etcd 3.5 on 2026-11-29. The
Node has 50 images, its 110 pods have two containers each, the policy has 4 KiB (tests/kube/usual.py). tests/kube/test_real_costs.py
compares the bytes with a real API server.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object that a node watches."""

    noun: str
    """as the watch names it"""
    kind: str
    list_bytes: int
    """body of the list of one node, as it comes over the network"""
    list_cpu_s: float
    list_seats: int
    """of API Priority and Fairness"""
    event_bytes: int
    """one line of a watch"""
    bookmark_bytes: int


CONFIGMAP = Kind("configmap", "ConfigMap", 4_269, 0.0005, 1, 4_308, 130)
NODE = Kind("node", "Node", 14_829, 0.0007, 1, 14_822, 393)
POOLS = Kind("noderesourcetopology", "NodeResourceTopology", 3_000, 0.0005, 1, 3_000, 200)
"""Of two NUMA nodes: an estimate, no measurement."""
PODS = Kind("pods", "Pod", 91_515, 0.0140, 10, 10_066, 163)
"""Its list is compressed, from 1,099,551 bytes. It counts as ten seats, the most that a list may count, since it is
charged for all pods of the cluster (list_work_estimator.go in k8s.io/apiserver)."""
KINDS = (CONFIGMAP, NODE, POOLS, PODS)

HEAD_BYTES = 450
"""head of an answer"""
HANDSHAKE_BYTES = 3_500
"""of the server, for a new TLS connection"""
HANDSHAKE_CPU_S = 0.0019
WATCH_CPU_S = 0.0003
"""to open a watch"""
LINE_CPU_S = 0.00005
"""to send one line of a watch to one watcher"""
PATCH_CPU_S = 0.0039
PATCH_BYTES = 14_792
"""the answer to a patch is the whole Node"""
REFUSAL_CPU_S = 0.0001
REFUSAL_BYTES = 600
WATCH_MEMORY_BYTES = 53 * 1024
"""memory of the API server for a watch, which has a connection of its own"""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the API server does at once. Defaults of Kubernetes."""

    cpus: int = 16
    """of its machine; an assumption"""
    seats: int = 245
    """Requests of ordinary service accounts that run at once: 100 of 245 shares of (400 + 200) requests in flight."""
    queue: int = 300
    """Requests that wait behind them. All daemons are one user, so one flow, with 6 queues of 50."""
    longest_wait_s: float = 15.0
    """in the queue, then it is refused; a quarter of the request timeout"""
    retry_after_s: float = 1.0
    """what a refusal (429) asks for"""
    bookmark_s: float = 60.0
    round_trip_s: float = 0.002
