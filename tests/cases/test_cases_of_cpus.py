"""Cases of exclusive CPUs: who gets some, whose are used again, and that nobody escapes to what is others' alone."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.cli.explain import explain
from koordnri.cli.simulate import simulate
from koordnri.model import CPUSet
from tests.cases.case_runner import Explained, explained

NODE = "node8.yaml"
BOTH = pytest.mark.parametrize("command", [explain, simulate], ids=["explain", "simulate"])


def cpus(found: Explained, pod: str, container: str = "a") -> CPUSet:
    return CPUSet.parse(found.container_field(pod, container, "cpu.cpus") or "")


@BOTH
def test_an_init_containers_cpus_and_the_apps_are_not_needed_at_the_same_time(command: Any) -> None:
    found = explained("init-big.yaml", node=NODE, command=command)
    assert [len(cpus(found, "a", name)) for name in ("migrate", "app")] == [6, 4]
    assert cpus(found, "a", "app") <= cpus(found, "a", "migrate")


@BOTH
def test_a_sidecar_has_other_cpus_than_the_app_and_the_init_containers_are_used_again(command: Any) -> None:
    found = explained("sidecar.yaml", node=NODE, command=command)
    proxy, setup, app = (cpus(found, "mesh", name) for name in ("proxy", "setup", "app"))
    assert (len(proxy), len(app)) == (1, 2)
    assert not proxy & app
    assert setup == app
    assert not cpus(found, "mesh", "log") & (proxy | app)


def test_no_whole_number_of_cpus_shares_and_its_owner_is_informed_why() -> None:
    found = explained("frac.yaml", node=NODE)
    assert "its CPU limit of 1500m is no whole number of CPUs" in found.reason("f", "a", "cpu.cpus")


@pytest.mark.parametrize(("case", "pod", "containers"), [("podlevel-own", "p", "a"), ("podlevel2", "plr2", "ab")])
def test_a_pods_limit_is_no_wish_of_its_containers(case: str, pod: str, containers: str) -> None:
    found = explained(f"{case}.yaml", node=NODE)
    for name in containers:
        assert "no CPU limit of its own, only its pod has" in found.reason(pod, name, "cpu.cpus")


def test_of_a_pod_with_resources_of_its_own_only_who_has_a_limit_is_an_owner() -> None:
    found = explained("podlevel.yaml", node=NODE)
    assert len(cpus(found, "p2")) == 2
    assert not (cpus(found, "p1") | cpus(found, "p1", "b") | cpus(found, "p2", "b")) & cpus(found, "p2")


def test_whose_annotation_cannot_be_read_is_in_the_pool_and_never_on_others_cpus() -> None:
    found = explained("broken-escapes.yaml", node=NODE)
    own = cpus(found, "lse") | cpus(found, "broken-spec")
    assert len(own) == 6
    for pod in ("ok", "broken-status", "offline"):
        assert cpus(found, pod) == CPUSet.parse("0-7") - own, pod
    assert not cpus(found, "broken-be") & cpus(found, "lse")
    for pod in ("broken-status", "broken-spec", "broken-be", "offline"):
        assert found.errors(pod), pod


def test_null_of_a_scheduler_is_no_assignment() -> None:
    found = explained("nulls.yaml", node=NODE)
    assert (cpus(found, "n1"), cpus(found, "n7")) == (CPUSet.parse("0-1"), CPUSet.parse("4-5"))
    assert found.reason("n2", "a", "cpu.cpus") == "exclusive CPUs, given by this node"


def test_nobody_gets_cpus_from_us_where_koordinator_publishes_pools() -> None:
    found = explained("11-nrt-pools.pods.yaml", node="10-12.node.yaml")
    assert "Koordinator publishes share pools of this node" in found.reason("a", "c", "cpu.cpus")
    assert found.container_field("b", "c", "cpu.cpus") == "0-1,8-9"


def test_a_pod_whose_init_container_and_app_are_owners_beside_a_sidecar_that_is_none() -> None:
    found = explained("lsr-sidecar.yaml", node=NODE)
    assert cpus(found, "dbs", "warm") == cpus(found, "dbs", "pg") == CPUSet.parse("0")
    assert not cpus(found, "dbs", "proxy") & cpus(found, "dbs", "pg")
