"""What a key switches on and off: settings of the policy, and whether batch works."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from koordnri.cli.bench.policy import Policy

BATCH = "b"
IDLE = "i"
EXCLUSIVE = "x"
SUPPRESS = "s"
QUIT = "q"
ALL_ON = frozenset((BATCH,))
"""At the start: batch works, and nothing protects the service."""


class Switch(NamedTuple):
    """One key."""

    key: str
    name: str
    """of the setting; for the screen"""
    means: str
    """what it does while it is on"""


SWITCHES = (
    Switch(BATCH, "batch", "batch work runs, as many processes as there are CPUs, twice"),
    Switch(IDLE, "BE idle", "batch yields to everybody: beClass.cpuQOS.schedIdle"),
    Switch(
        SUPPRESS, "CPU suppress", "batch gets the CPUs that the service leaves, 2 at least: resource-threshold-config"
    ),
    Switch(EXCLUSIVE, "exclusive CPUs", "the service has a CPU alone: hook cpuset, for its label LSE"),
)


def policy_of(on: AbstractSet[str]) -> Policy:
    """The policy with these switches on, as the data of a ConfigMap."""
    config: dict[str, Any] = {"trust": {"mode": "off"}}  # there is no API server to say whose pods these are
    if EXCLUSIVE not in on:
        config["hooks"] = {"cpuset": {"mode": "off"}}
    policy: Policy = {"koordnri-config": {"clusterStrategy": config}}
    if IDLE in on:
        policy["resource-qos-config"] = {"clusterStrategy": {"beClass": {"cpuQOS": {"enable": True, "schedIdle": 1}}}}
    if SUPPRESS in on:
        policy["resource-threshold-config"] = {"clusterStrategy": {"enable": True, "cpuSuppressPolicy": "cpuset"}}
    return policy
