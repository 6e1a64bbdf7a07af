"""Facts about the node that are not in the host's files."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.daemon.node_facts import ReportedFacts
from koordnri.model import UNLIMITED, NodeState
from koordnri.session.runtime_info import MOST_BYTES, RuntimeInfo
from koordnri.wire.versions import Version


class Naming:
    """Groups, or a cluster, of which only a trace in the node's name is seen."""

    def __init__(self, name: str) -> None:
        self._name = name

    def applied(self, node: NodeState) -> NodeState:
        return NodeState(name=f"{node.name}+{self._name}", no_limit_bytes=node.no_limit_bytes)


@pytest.mark.parametrize(
    ("runtime", "no_limit_bytes", "injects_cdi"),
    [
        (RuntimeInfo(), UNLIMITED, False),
        (RuntimeInfo("containerd", "v2.1.0", Version(0, 9, 0)), UNLIMITED, True),
        (RuntimeInfo("cri-o", "1.33.13", Version(0, 9, 0)), MOST_BYTES, False),
    ],
)
def test_what_the_runtime_does_is_a_part_of_the_node(
    runtime: RuntimeInfo, no_limit_bytes: int, injects_cdi: bool
) -> None:
    facts = ReportedFacts(None, None)
    facts.runtime = runtime
    node = facts.applied(NodeState())
    assert node.no_limit_bytes == no_limit_bytes
    assert (node.no_cdi == "") is injects_cdi


@pytest.mark.parametrize(
    ("groups", "cluster", "name"),
    [
        (None, None, "n"),
        (Naming("groups"), None, "n+groups"),
        (Naming("groups"), Naming("cluster"), "n+groups+cluster"),
    ],
)
def test_resctrl_groups_and_the_cluster_add_theirs_where_they_are(groups: Any, cluster: Any, name: str) -> None:
    assert ReportedFacts(groups, cluster).applied(NodeState(name="n")).name == name
