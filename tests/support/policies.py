"""Policies for tests, made of sections as a test states them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from koordnri.policy import Policy, load_policy, resolve
from koordnri.policy.trust_options import TrustOptions

BELIEVING = TrustOptions(without_spec="believe")


def policy_of(labels: Mapping[str, str] | None = None, node_name: str = "node-1", /, **sections: Any) -> Policy:
    """The policy of a document for one node; `resource_qos_config` stands for the key `resource-qos-config`.

    Most tests' pods have no spec. They are believed, unless a section states `trust`.
    """
    data = {key.replace("_", "-"): value for key, value in sections.items()}
    policy = resolve(load_policy(json.dumps(data), "test"), node_name, labels or {})
    return policy if '"trust"' in json.dumps(data) else believing(policy)


def believing(policy: Policy) -> Policy:
    """The policy, also believing pods whose spec is not known, as in a cluster that runs Koordinator without giving us its API."""
    return msgspec.structs.replace(policy, trust=BELIEVING)
