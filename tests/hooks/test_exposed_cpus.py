"""What a container is shown of its exclusive CPUs."""

from __future__ import annotations

from typing import Any

import pytest
from koordnri_hooks.cpuset import CPUSetHook
from koordnri_hooks.exposed_cpus import PLACE, VARIABLE

from koordnri.model import CPUSet, Event, NodeState
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.topology import Topology
from tests.hooks.one_hook import context, run, values
from tests.support.pods import pod
from tests.support.policies import policy_of

NODE = NodeState(
    topology=Topology.regular(1, 1, 8, 1),
    exclusive_cpus={"uid-db": {"main": CPUSet.parse("2-3")}},
    exposed_directory="/state/exposed",
)
ENV, FILE = f"cpus.env[{VARIABLE}]", f"cpus.file[{PLACE}]"


def shown(expose: str, one: Any, node: NodeState = NODE, event: Event = Event.CREATE) -> dict[str, Any]:
    policy = policy_of(koordnri_config={"hooks": {"cpuset": {"expose": expose}}})
    found = values(run(CPUSetHook(), context(one, node=node, policy=policy, event=event)))
    return {name: value for name, value in found.items() if name.startswith("cpus.")}


DB = pod("LSR", name="db")


@pytest.mark.parametrize(
    "one", [DB, pod("LSR", name="db", annotations={RESOURCE_STATUS.key: {"cpuset": "2-3"}})], ids=["node", "scheduler"]
)
def test_the_variable_has_the_containers_exclusive_cpus(one: Any) -> None:
    assert shown("env", one) == {ENV: "2-3"}


def test_the_file_is_mounted_read_only_from_the_containers_own_directory() -> None:
    [(name, mount)] = shown("file", DB).items()
    assert (name, mount.source, mount.type) == (FILE, "/state/exposed/c1", "bind")
    assert "ro" in mount.options


def test_a_container_that_may_get_cpus_later_has_the_file_and_no_variable() -> None:
    none = NodeState(topology=NODE.topology)
    assert shown("file", DB, none).keys() == {FILE}
    assert shown("env", DB, none) == {}


@pytest.mark.parametrize("expose", ["env", "file", "none"])
def test_who_shares_the_pool_is_shown_nothing(expose: str) -> None:
    assert shown(expose, pod("LS", name="web")) == {}


def test_by_default_nobody_is_shown_anything() -> None:
    assert shown("none", DB) == {}


@pytest.mark.parametrize("expose", ["env", "file"])
def test_a_container_that_runs_cannot_get_either(expose: str) -> None:
    assert shown(expose, DB, event=Event.SYNC) == {}
