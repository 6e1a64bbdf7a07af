"""NUMA policy of memory by annotation."""

from __future__ import annotations

from typing import Any

import pytest
from koordnri_hooks.injection.memory_policy import FLAGS, MODES

from koordnri.model import NodeState, injection
from koordnri.wire import api_pb2 as api
from tests.hooks.injection.one_injection import decide, mistake, sent, shown
from tests.hooks.one_hook import faults

KEY = injection.MEMORY_POLICY.keys[0]


def test_mode_nodes_and_flags_are_sent() -> None:
    decision = decide({KEY: {"mode": "MPOL_BIND", "nodes": "0,1", "flags": ["MPOL_F_STATIC_NODES"]}})
    assert shown(decision) == {"memory_policy": "MPOL_BIND 0,1 MPOL_F_STATIC_NODES"}
    wanted = {"mode": api.MPOL_BIND, "nodes": "0,1", "flags": [api.MPOL_F_STATIC_NODES]}
    assert sent(decision) == api.ContainerAdjustment(linux={"memory_policy": wanted})


def test_the_names_are_those_of_the_message() -> None:
    assert set(MODES) == set(api.MpolMode.keys())
    assert set(FLAGS) == set(api.MpolFlag.keys())


@pytest.mark.parametrize("text", ["mode: MPOL_LOCAL", "mode: MPOL_PREFERRED", "mode: MPOL_BIND\nnodes: 0"])
def test_modes_that_need_no_nodes_and_a_single_node(text: str) -> None:
    assert not decide({KEY: text}).errors


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"mode": "MPOL_LOCAL", "nodes": "0"}, 'nodes: expected none with MPOL_LOCAL, got "0"'),
        ({"mode": "MPOL_BIND"}, "nodes: expected the NUMA nodes for MPOL_BIND, such as 0,1; there are none"),
        ({"mode": "MPOL_BIND", "nodes": "x"}, 'nodes: expected a list of NUMA nodes such as 0,1, got "x"'),
    ],
)
def test_nodes_must_fit_the_mode(value: Any, problem: str) -> None:
    assert mistake(KEY, value) == problem


def test_unknown_names_are_refused() -> None:
    assert mistake(KEY, {"mode": "bind"}).startswith("mode: expected one of MPOL_DEFAULT, ")
    assert mistake(KEY, {"mode": "MPOL_LOCAL", "flags": ["x"]}).startswith(
        "flags[0]: expected one of MPOL_F_STATIC_NODES, "
    )


def test_a_node_without_memory_is_named() -> None:
    decision = decide({KEY: {"mode": "MPOL_BIND", "nodes": "0-2"}}, node=NodeState(memory_nodes="0-1"))
    assert faults(decision)[0][1].endswith("nodes: expected NUMA nodes with memory (0-1), got 2")
