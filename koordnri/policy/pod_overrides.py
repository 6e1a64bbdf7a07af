"""What a pod's annotations say over the policy. Hooks reach this through `Policy.cpu_burst`, `cpu_qos`, `memory_qos`, `blkio_qos`."""

from __future__ import annotations

from koordnri.model.annotations import BLKIO_QOS_KEY, CPU_BURST_KEY, CPU_QOS_KEY, MEMORY_QOS_KEY, Annotation
from koordnri.policy.blkio_qos import PodBlkIOQOS
from koordnri.policy.burst import PodCPUBurst
from koordnri.policy.memory_qos import PodMemoryQOS
from koordnri.policy.qos import PodCPUQOS
from koordnri.policy.reader import decode


def _cpu_burst(text: str) -> PodCPUBurst:
    return decode(PodCPUBurst, text, "")


def _cpu_qos(text: str) -> PodCPUQOS:
    return decode(PodCPUQOS, text, "")


def _memory_qos(text: str) -> PodMemoryQOS:
    return decode(PodMemoryQOS, text, "")


def _blkio_qos(text: str) -> PodBlkIOQOS:
    return decode(PodBlkIOQOS, text, "")


CPU_BURST = Annotation(CPU_BURST_KEY, _cpu_burst)
CPU_QOS = Annotation(CPU_QOS_KEY, _cpu_qos)
MEMORY_QOS = Annotation(MEMORY_QOS_KEY, _memory_qos)
BLKIO_QOS = Annotation(BLKIO_QOS_KEY, _blkio_qos)
