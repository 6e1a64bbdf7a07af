"""What a pod's annotations say over the policy. Hooks reach this through `Policy.memory_qos` and `Policy.blkio_qos`."""

from __future__ import annotations

from koordnri.model.annotations import BLKIO_QOS_KEY, MEMORY_QOS_KEY, Annotation
from koordnri.policy.blkio_qos import PodBlkIOQOS
from koordnri.policy.memory_qos import PodMemoryQOS
from koordnri.policy.reader import decode


def _memory_qos(text: str) -> PodMemoryQOS:
    return decode(PodMemoryQOS, text, "")


def _blkio_qos(text: str) -> PodBlkIOQOS:
    return decode(PodBlkIOQOS, text, "")


MEMORY_QOS = Annotation(MEMORY_QOS_KEY, _memory_qos)
BLKIO_QOS = Annotation(BLKIO_QOS_KEY, _blkio_qos)
