"""What an experiment is made of: pods, arms, designs. Plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from koordnri.cli.bench.policy import Policy
from koordnri.model import KubeQoS

EXCLUSIVE_CPUS = "exclusive CPUs"
"""In `PodPlan.proof`: not a field, but the number of CPUs that the container has alone."""


class PodPlan(NamedTuple):
    """A pod with one container, which runs a program of `inside`."""

    name: str
    program: str
    config: Mapping[str, Any]
    """of the program"""
    qos: KubeQoS
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    cpu_request_m: int = 0
    """milli-CPUs, as the two limits' 0: none"""
    cpu_limit_m: int = 0
    memory_limit: int = 0
    """bytes"""
    proof: Mapping[str, Any] = {}
    """field → what the kernel must have of it, in the container or its pod, for the arm to count"""
    class_proof: Mapping[str, str] = {}
    """file of the cgroup of the pod's QoS class (v2) → a line that it must have"""
    class_quota: bool = False
    """whether the cgroup of the pod's QoS class must have a CPU quota; otherwise it must have none"""


class Arm(NamedTuple):
    """One way to run the service and its neighbours."""

    name: str
    service: PodPlan
    batch: PodPlan | None
    policy: Policy
    means: str = ""
    """how a sentence about it begins"""
    settle_s: float = 0.0
    """so long the service runs before its requests count, and its pod's quota is a figure at the end: a controller follows what it
    measures. For arms without batch work"""
    wake_us: int = 0
    """what the service takes of the CPUs from its first request on, µs per 100 ms, where a controller takes that from batch work: the time
    until half of it is taken is a figure, where batch work had so much. 0: none does"""
    needs_file: str = ""
    """of cgroup v2, which not every kernel has. Where it is missing, the arm is left out"""


class Design(NamedTuple):
    """Arms that are compared with each other, in turn."""

    name: str
    question: str
    arms: Sequence[Arm]
    """`ALONE` first, `NONE` second"""
    windows: bool = False
    """whether the worst 100 ms matter more than percentiles"""
    pods_bytes: int = 0
    """memory limit of all pods together; 0: none"""
    files: Mapping[str, int] = {}
    """name → bytes, that the programs read and write"""
    needs: Sequence[str] = ()
    """controllers of cgroup v2"""


TRUSTING: Policy = {"koordnri-config": {"clusterStrategy": {"trust": {"mode": "off"}}}}
"""There is no API server to say whose pods these are."""
ALONE = "alone"
NONE = "none"
