"""Memory limits of what runs: an event's reply does not bring them, for the runtime would not look at what is in use."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from koordnri.model import Pod
from koordnri.model.annotations import BATCH_MEMORY, EXTENDED_RESOURCE_SPEC, MEMORY_QOS_KEY
from koordnri.model.routes import ADJUST, REPLY, WRITE
from koordnri.session.runtime_info import MOST_BYTES
from tests.session.one_node import NODE, Node, kubelet
from tests.support.policies import policy_of

MIB = 1 << 20
HALF = json.dumps({"throttlingPercent": 50})


def batch(mib: int) -> dict[str, str]:
    table = {"containers": {"main": {"limits": {BATCH_MEMORY: f"{mib}Mi"}}}}
    return {EXTENDED_RESOURCE_SPEC.key: json.dumps(table), MEMORY_QOS_KEY: HALF}


def report_again(node: Node, annotations: dict[str, str]) -> None:
    """The API server sends the pod with other annotations."""
    [old] = node.ledger.pods()
    reported = old.annotations
    node.ledger.remember_pod(
        Pod(old.id, old.uid, old.namespace, old.name, old.labels, annotations, old.cgroup_parent, reported=reported)
    )


def sent(node: Node) -> dict[str, tuple[Any, str]]:
    entry = node.ledger.container("c1")
    assert entry is not None
    return {name: reported for name, reported in entry.sent.items() if name.startswith("memory.")}


@pytest.fixture
def node() -> Node:
    node = Node()
    node.create(node.pod(qos="BE", annotations=batch(96)))
    return node


def both(mib: int, route: str) -> dict[str, tuple[int, str]]:
    return {"memory.limit": (mib * MIB, route), "memory.high": (mib // 2 * MIB, route)}


def test_what_the_runtime_has_stored_already_goes_with_every_reply(node: Node) -> None:
    assert sent(node) == both(96, ADJUST)
    reply = node.update(shares=600)
    assert reply is not None
    assert (reply.memory.limit.value, dict(reply.unified)) == (96 * MIB, {"memory.high": str(48 * MIB)})
    assert sent(node) == both(96, REPLY)


def test_a_limit_that_the_container_has_not_yet_is_left_to_the_reconciler(node: Node) -> None:
    report_again(node, batch(64))
    reply = node.update(shares=600)
    assert reply is not None
    assert not reply.HasField("memory")
    assert dict(reply.unified) == {}
    # So the reconciler writes it, and has it recorded then.
    assert sent(node) == both(64, WRITE)


def test_a_limit_that_was_written_goes_with_the_reply(node: Node) -> None:
    report_again(node, batch(64))
    node.ledger.verified("c1", "memory.limit", 64 * MIB)
    reply = node.update(shares=600)
    assert reply is not None
    assert (reply.memory.limit.value, dict(reply.unified)) == (64 * MIB, {})
    assert sent(node) == both(64, WRITE) | {"memory.limit": (64 * MIB, REPLY)}


def test_synchronize_leaves_the_limits_of_what_was_there_before_us_to_the_reconciler() -> None:
    node = Node()
    node.preexisting(node.pod(qos="BE", annotations=batch(96)))
    assert node.synchronize() == {"c1": kubelet(quota=-1, period=100_000, shares=2)}
    assert sent(node) == both(96, WRITE)


def test_what_crio_stores_as_the_largest_limit_is_known_for_none_and_is_not_sent_again(node: Node) -> None:
    crio, off = (
        replace(NODE, no_limit_bytes=MOST_BYTES),
        policy_of(koordnri_config={"hooks": {"memory": {"mode": "off"}}}),
    )
    now = node.restarted(off, node.ledger.notes(), node=crio)
    lifted = now.synchronize()["c1"]
    assert (lifted.memory.limit.value, lifted.unified["memory.high"]) == (MOST_BYTES, "max")
    assert now.synchronize() == {}
    assert now.restarted(off, now.ledger.notes(), node=crio).synchronize() == {}
    assert now.ledger.container("c1").baseline.memory_limit is None, "kubelet has asked for none"
