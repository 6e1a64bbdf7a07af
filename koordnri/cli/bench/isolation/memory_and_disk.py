"""The experiments that need cgroup v2.

D4   a service that reads its files from the page cache, beside batch work that reads a large file again and again
D5   a service that reads from the disk, beside batch work that writes to it
"""

from __future__ import annotations

import json
from typing import Any

from koordnri.cli.bench.isolation.plan import ALONE, NONE, TRUSTING, Arm, Design, PodPlan
from koordnri.cli.bench.policy import Policy
from koordnri.model import KubeQoS
from koordnri.model.annotations import BATCH_MEMORY, BLKIO_QOS_KEY, EXTENDED_RESOURCE_SPEC
from koordnri.model.qos import QOS_LABEL

MIB = 1 << 20
HOT_BYTES = 64 * MIB
"""that the service reads at random"""
STREAM_BYTES = 256 * MIB
PODS_BYTES = 192 * MIB
"""Memory of all pods, as kubelet sets it: both files do not fit."""
SERVICE_BYTES = 128 * MIB
BATCH_BYTES = 64 * MIB
WRITE_BPS = 5 * MIB
WEIGHT_PERCENT = 1
LATENCY_US = 1000
"""More than a read of an idle solid-state disk takes. A slower disk never keeps it, and batch work is throttled all the time."""
HOT_FILE = "hot.data"
BATCH_FILE = "batch.data"


def memory() -> Design:
    """D4."""
    service = _service({"bytes": HOT_BYTES, "each": 16, "direct": False}, every_s=0.005)
    batch = PodPlan("batch", "stream", {"path": BATCH_FILE, "bytes": STREAM_BYTES}, KubeQoS.BESTEFFORT)
    limits = {"limits": {BATCH_MEMORY: str(BATCH_BYTES)}}
    throttled = batch._replace(
        labels={QOS_LABEL: "BE"},
        annotations={EXTENDED_RESOURCE_SPEC.key: json.dumps({"containers": {"main": limits}})},
        proof={"memory.high": BATCH_BYTES // 2},
    )
    protected = service._replace(proof={"memory.low": SERVICE_BYTES}, class_proof={"memory.low": str(SERVICE_BYTES)})
    low = _qos("lsClass", "memoryQOS", {"lowLimitPercent": 100})
    high = _qos("beClass", "memoryQOS", {"throttlingPercent": 50})
    return Design(
        "D4",
        "a service that reads from the page cache, beside batch work that fills it",
        [
            Arm(ALONE, service, None, TRUSTING, ""),
            Arm(NONE, service, batch, TRUSTING, "batch without memory QoS"),
            Arm("memory.low", protected, batch, low, "the service's cache protected (lowLimitPercent of lsClass)"),
            Arm("memory.high", service, throttled, high, "batch throttled (throttlingPercent of beClass)"),
        ],
        pods_bytes=PODS_BYTES,
        files={HOT_FILE: HOT_BYTES, BATCH_FILE: STREAM_BYTES},
        needs=("memory",),
    )


def disk(path: str, number: str) -> Design:
    """D5, on the disk `path` (/dev/vda), whose number is MAJOR:MINOR."""
    service = _service({"bytes": HOT_BYTES, "each": 1, "direct": True}, every_s=0.01)
    batch = PodPlan(
        "batch", "writer", {"path": BATCH_FILE, "bytes": HOT_BYTES}, KubeQoS.BESTEFFORT, labels={QOS_LABEL: "BE"}
    )
    light = {"blocks": [{"name": path, "ioCfg": {"ioWeightPercent": WEIGHT_PERCENT}}]}
    narrow = {"blocks": [{"name": path, "ioCfg": {"writeBPS": WRITE_BPS}}]}
    weight = _qos("beClass", "blkioQOS", light)
    weight["resource-qos-config"]["clusterStrategy"]["cgroupRoot"] = {
        "blkioQOS": {"enable": True, "blocks": [{"name": path}]}
    }
    target = {"blocks": [{"name": path, "ioCfg": {"ioLatencyTarget": LATENCY_US}}]}
    light_proof = {"io.weight": f"{number} {WEIGHT_PERCENT}"}
    narrow_proof = {"io.max": f"{number} rbps=max wbps={WRITE_BPS}"}
    return Design(
        "D5",
        f"a service that reads 4 KiB at random from {path}, beside batch work that writes to it",
        [
            Arm(ALONE, service, None, TRUSTING, ""),
            Arm(NONE, service, batch, TRUSTING, "batch without disk limits"),
            Arm(
                "io.weight",
                service,
                batch._replace(class_proof=light_proof),
                weight,
                "batch with a small weight (ioWeightPercent)",
            ),
            Arm(
                "io.latency",
                # The kernel throttles whoever is beside a cgroup that misses its target, so it is the service that has one.
                service._replace(
                    annotations={BLKIO_QOS_KEY: json.dumps(target)},
                    proof={f"io.latency[{path}]": f"target={LATENCY_US}"},
                ),
                batch,
                TRUSTING,
                f"the service with a latency target of {LATENCY_US / 1000:g} ms (ioLatencyTarget)",
                needs_file="io.latency",
            ),
            Arm(
                "io.max",
                service,
                batch._replace(class_proof=narrow_proof),
                _qos("beClass", "blkioQOS", narrow),
                f"batch that writes {WRITE_BPS / MIB:.0f} MiB/s at most (writeBPS)",
            ),
        ],
        files={HOT_FILE: HOT_BYTES, BATCH_FILE: HOT_BYTES},
        needs=("io",),
    )


def _service(read: dict[str, Any], every_s: float) -> PodPlan:
    config = {"read": {"path": HOT_FILE, **read}, "phases": ((1.0, every_s),)}
    return PodPlan(
        "service",
        "service",
        config,
        KubeQoS.GUARANTEED,
        labels={QOS_LABEL: "LS"},
        cpu_request_m=2000,
        cpu_limit_m=2000,
        memory_limit=SERVICE_BYTES,
    )


def _qos(of_class: str, key: str, value: dict[str, Any]) -> Policy:
    return {**TRUSTING, "resource-qos-config": {"clusterStrategy": {of_class: {key: {"enable": True, **value}}}}}
