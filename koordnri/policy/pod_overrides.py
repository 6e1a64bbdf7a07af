"""Pods' annotations that override the policy. Hooks use them by `Policy.cpu_burst`, `cpu_qos`, `memory_qos`, `blkio_qos`,
`network_qos`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import msgspec

from koordnri.model.annotations import (
    BLKIO_QOS_KEY,
    CPU_BURST_KEY,
    CPU_QOS_KEY,
    MAX_CHARACTERS,
    MEMORY_QOS_KEY,
    NETWORK_QOS_KEY,
    Annotation,
)
from koordnri.model.pod import Pod
from koordnri.policy.blkio_qos import PodBlkIOQOS
from koordnri.policy.burst import PodCPUBurst
from koordnri.policy.memory_qos import PodMemoryQOS
from koordnri.policy.network_qos import PodNetworkQOS
from koordnri.policy.qos import PodCPUQOS
from koordnri.policy.reader import decode, read
from koordnri.policy.report import Report

CPU_BURST = Annotation(CPU_BURST_KEY, partial(decode, PodCPUBurst))
CPU_QOS = Annotation(CPU_QOS_KEY, partial(decode, PodCPUQOS))
MEMORY_QOS = Annotation(MEMORY_QOS_KEY, partial(decode, PodMemoryQOS))
BLKIO_QOS = Annotation(BLKIO_QOS_KEY, partial(decode, PodBlkIOQOS))
NETWORK_QOS = Annotation(NETWORK_QOS_KEY, partial(decode, PodNetworkQOS))

_TYPES: Mapping[str, Any] = {
    CPU_BURST_KEY: PodCPUBurst,
    CPU_QOS_KEY: PodCPUQOS,
    MEMORY_QOS_KEY: PodMemoryQOS,
    BLKIO_QOS_KEY: PodBlkIOQOS,
    NETWORK_QOS_KEY: PodNetworkQOS,
}
_NODES_ALONE = {
    (CPU_QOS_KEY, "schedIdle"),
    (CPU_QOS_KEY, "coreExpeller"),
    (BLKIO_QOS_KEY, "enable"),
    (MEMORY_QOS_KEY, "enable"),
}
"""Keys of the policy's block that have no effect on a pod."""


def ignored_keys(pod: Pod) -> Iterator[tuple[str, str, str]]:
    """(annotation, path, message) for keys without effect; none for an annotation that cannot be used."""
    for annotation, type_ in _TYPES.items():
        text = pod.annotations.get(annotation)
        if text is None or len(text) > MAX_CHARACTERS:
            continue
        try:
            value = msgspec.json.decode(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            continue
        report = Report(last_wins=True)
        read(type_, {} if value is None else value, report)
        for path, message in report.warnings:
            of_nodes = (annotation, path) in _NODES_ALONE
            yield annotation, path, "has no effect on a pod, only in the policy" if of_nodes else message
