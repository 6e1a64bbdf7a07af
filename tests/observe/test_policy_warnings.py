"""What of a policy in force has no effect is reported once on the Node, and again when there is more."""

from __future__ import annotations

import json
from dataclasses import replace

from structlog.testing import CapturingLogger

from koordnri.chain import Snapshot
from koordnri.model import NodeState
from koordnri.observe.policy_warnings import PolicyWarnings
from koordnri.policy import PolicyDocument, load_policy, resolve

BLOCKS = [{"name": "/dev/sda", "type": "device", "ioCfg": {"readIOPS": 5}}]
NO_EFFECT = {"resource-qos-config": {"clusterStrategy": {"lsClass": {"blkioQOS": {"enable": True, "blocks": BLOCKS}}}}}
BURST = {"cpu-burst-config": {"clusterStrategy": {"policy": "auto"}}}


class Node:
    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.log = CapturingLogger()
        self.warnings = PolicyWarnings(self.log, lambda reason, message: self.events.append((reason, message)))

    def take(self, document: PolicyDocument | None, state: NodeState = NodeState()) -> None:  # noqa: B008  # immutable
        self.warnings.update(document, Snapshot(resolve(document, "", {}), state))


def test_a_warning_is_reported_once_with_its_path() -> None:
    node, document = Node(), load_policy(json.dumps(NO_EFFECT), "test")
    node.take(document)
    node.take(document)
    [(reason, message)] = node.events
    assert reason == "PolicyWarning"
    assert message.startswith(f"revision {document.revision}: resource-qos-config.lsClass.blkioQOS: ")
    assert len(node.warnings.now) == 1


def test_what_a_kernel_lacks_is_reported_and_logged_when_the_node_is_known() -> None:
    node, document = Node(), load_policy(json.dumps(NO_EFFECT | BURST), "test")
    node.take(document)
    old = replace(NodeState(), cgroup_files=frozenset())
    node.take(document, old)
    node.take(document, old)
    assert len(node.events) == 2
    assert "no cpu.burst" in node.events[1][1]
    assert [call.kwargs["warning"] for call in node.log.calls] == [node.warnings.now[1]]


def test_a_policy_without_warnings_says_nothing_and_many_are_cut() -> None:
    node = Node()
    node.take(None)
    assert (node.events, node.warnings.now) == ([], ())
    node.take(load_policy(json.dumps({f"strange{i}": {} for i in range(9)}), "test"))
    assert node.events[0][1].endswith("; and 4 more, see /v1/policy")
    assert len(node.warnings.now) == 9
