"""Policies that `bench` runs the daemon under, as ConfigMap data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Policy = dict[str, Any]
"""key of the ConfigMap → its value, not yet as text"""


def everything(turn: int = 0) -> Policy:
    """Asks something of every hook. Turn 0 and 1 differ in something for every container of every kind (`Kind.follows`)."""
    return {
        "resource-qos-config": {
            "clusterStrategy": {
                "lsrClass": {
                    "memoryQOS": {"enable": True, "minLimitPercent": (40, 50)[turn]},
                    "resctrlQOS": {"enable": True},
                },
                "lsClass": {
                    "memoryQOS": {
                        "enable": True,
                        "minLimitPercent": 50,
                        "lowLimitPercent": 80,
                        "throttlingPercent": 90,
                    },
                    "resctrlQOS": {"enable": True},
                },
                "beClass": {
                    "memoryQOS": {"enable": True, "throttlingPercent": (80, 70)[turn]},
                    "resctrlQOS": {"enable": True, "catRangeEndPercent": 30, "mbaPercent": 50},
                    "blkioQOS": {
                        "enable": True,
                        "blocks": [{"name": "/dev/nvme0n1", "ioCfg": {"readBPS": 104857600, "ioWeightPercent": 20}}],
                    },
                },
            }
        },
        "cpu-normalization-config": {"enable": True, "defaultRatio": (1.25, 1.5)[turn]},
    }


def defaults() -> Policy:
    """Koordlet's defaults: what annotations ask for, and nothing else."""
    return {"resource-qos-config": {}}


def edited(policy: Policy, number: int) -> Policy:
    """The same for this node, and yet another document: somebody edited what is for other nodes."""
    other = {"name": "other", "nodeSelector": {"matchLabels": {"pool": f"other-{number}"}}, "beClass": {}}
    return {**policy, "resource-qos-config": {**policy["resource-qos-config"], "nodeStrategies": [other]}}


def write_policy(path: Path, policy: Policy) -> None:
    """Put the policy there as a whole, as an editor or kubelet does."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps({key: json.dumps(value) for key, value in policy.items()}))
    new.replace(path)
