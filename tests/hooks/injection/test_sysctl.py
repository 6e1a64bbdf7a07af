"""Kernel parameters by annotation."""

from __future__ import annotations

import pytest

from koordnri.model import injection
from koordnri.wire import api_pb2 as api
from tests.hooks.injection.one_injection import decide, mistake, sent, shown

KEY = injection.SYSCTL.keys[0]


def test_parameters_of_a_containers_namespaces_are_sent() -> None:
    decision = decide({KEY: "net.core.somaxconn: 1024\nkernel.sem: 1 2 3 4\nfs/mqueue/msg_max: '5'\n"})
    values = {"net.core.somaxconn": "1024", "kernel.sem": "1 2 3 4", "fs/mqueue/msg_max": "5"}
    assert shown(decision) == {f"sysctl[{name}]": value for name, value in values.items()}
    assert sent(decision) == api.ContainerAdjustment(linux={"sysctl": values})


@pytest.mark.parametrize("name", ["vm.swappiness", "kernel.panic", "network.x", ""])
def test_a_parameter_of_the_node_is_refused(name: str) -> None:
    assert mistake(KEY, {"net.core.somaxconn": "1", name: "1"}).endswith(f'got "{name}"')


def test_a_map_has_an_end() -> None:
    assert mistake(KEY, {f"net.x{i}": "1" for i in range(257)}) == "expected at most 256 parameters, got 257"
