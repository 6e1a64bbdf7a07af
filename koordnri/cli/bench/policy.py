"""Policies for the daemon under `bench`, as ConfigMap data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from koordnri.cli.bench.load import NAMESPACE
from koordnri.model import injection

Policy = dict[str, Any]
"""key of the ConfigMap → its value, not yet as text"""

_TRUST: Policy = {"koordnri-config": {"clusterStrategy": {"trust": {"mode": "off"}}}}
"""The load has no specs, and more pods than CPUs that a scheduler could assign; all of them shall get what they ask for."""


def everything(turn: int = 0) -> Policy:
    """A policy for every hook. Turns 0 and 1 differ in something for every container of every kind (`Kind.follows`)."""
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
        **_TRUST,
    }


def injecting() -> Policy:
    """`everything`, and every kind of injection for everybody in the namespace of the load."""
    policy = everything()
    here = {kind.name: {"namespaces": [NAMESPACE]} for kind in injection.ALL}
    trust = {"mode": "off", "injection": here}
    return {**policy, "koordnri-config": {"clusterStrategy": {"trust": trust}}}


def defaults() -> Policy:
    """Koordlet's defaults: only what annotations ask for."""
    return {"resource-qos-config": {}, **_TRUST}


def edited(policy: Policy, number: int) -> Policy:
    """A different document with the same policy for this node: an edit that concerns other nodes."""
    other = {"name": "other", "nodeSelector": {"matchLabels": {"pool": f"other-{number}"}}, "beClass": {}}
    return {**policy, "resource-qos-config": {**policy["resource-qos-config"], "nodeStrategies": [other]}}


def write_policy(path: Path, policy: Policy) -> None:
    """Write the policy as a whole, as an editor or kubelet does."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps({key: json.dumps(value) for key, value in policy.items()}))
    new.replace(path)
