"""Policies for tests, made of sections as a test states them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from koordnri.policy import Policy, load_policy, resolve


def policy_of(labels: Mapping[str, str] | None = None, node_name: str = "node-1", /, **sections: Any) -> Policy:
    """The policy of a document for one node; `resource_qos_config` stands for the key `resource-qos-config`."""
    data = {key.replace("_", "-"): value for key, value in sections.items()}
    return resolve(load_policy(json.dumps(data), "test"), node_name, labels or {})
