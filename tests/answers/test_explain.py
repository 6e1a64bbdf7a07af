"""GET /v1/explain: what kubelet asked, what was decided, what the kernel has, and what would change it."""

from __future__ import annotations

import pytest
from structlog.testing import CapturingLogger

from koordnri.answers.explain import ExplainSources, explain
from koordnri.cpus.allocator import Allocator
from koordnri.observe.questions import BadQuestion, NotHere
from koordnri.policy.standing import StandingPolicy
from tests.answers.explained import ENV, NO_RESCTRL, explained, node_with_gpu_pod, node_with_pinned_pod
from tests.reconcile.fake_node import HALVED, MIB, FakeNode, pinned_to


def test_a_container_s_fields_say_what_was_asked_decided_and_is_in_the_kernel() -> None:
    shape = explained(node_with_pinned_pod())
    (container,) = shape["containers"]
    assert container["name"] == "main"
    assert container["state"] == "running"
    assert container["cgroup"] == "kubepods/p/p-main"
    assert container["fields"]["cpu.cpus"] == {
        "value": "2,3",
        "unit": "list",
        "asked": None,
        "kernel": "2,3",
        "effective": "2-3",
        "agrees": True,
        "hook": "cpuset",
        "reason": "assigned by the scheduler",
        "route": "reply",
        "recorded": True,
        "since": None,
        "cause": None,
        "refused": None,
        "rules": [{"kind": "annotation", "name": "scheduling.koordinator.sh/resource-status", "strategy": ""}],
    }
    quota = container["fields"]["cpu.quota"]
    assert (quota["asked"], quota["value"], quota["kernel"], quota["agrees"]) == (200_000, -1, -1, True)


def test_the_pods_own_cgroup_shows_its_sandboxs_cpus_and_kubelets_quota() -> None:
    shape = explained(node_with_pinned_pod())["pod"]
    assert (shape["qos"], shape["kubeQoS"], shape["cgroup"]) == ("LSR", "Guaranteed", "kubepods/p")
    cpus, quota = shape["fields"]["cpu.cpus"], shape["fields"]["cpu.quota"]
    assert (cpus["kernel"], cpus["agrees"], cpus["recorded"]) == ("2,3", True, None)
    assert (quota["asked"], quota["value"], quota["kernel"]) == (200_000, -1, -1)


def test_fields_that_nobody_decides_show_what_kubelet_asked_and_the_kernel_has() -> None:
    container = explained(node_with_pinned_pod())["containers"][0]
    limit = container["untouched"]["memory.limit"]
    assert (limit["value"], limit["asked"], limit["kernel"]) == (None, 64 * MIB, 64 * MIB)
    assert container["untouched"]["rdt.closid"]["reason"] == container["skipped"]["rdt.closid"]


def test_a_written_value_that_the_runtime_does_not_have_stored_is_not_recorded() -> None:
    node = FakeNode(2)
    node.container(node.pod("p", "LS", cpu_quota=100_000), cpu_quota=100_000)
    node.set_policy(**HALVED)
    node.run_pass()
    quota = explained(node)["containers"][0]["fields"]["cpu.quota"]
    assert (quota["asked"], quota["value"], quota["kernel"], quota["recorded"]) == (100_000, 50_000, 50_000, False)


def test_what_only_a_creation_sets_is_listed_as_it_was_set() -> None:
    node, _ = node_with_gpu_pod()
    container = explained(node)["containers"][0]
    assert (container["fields"][ENV]["value"], container["fields"][ENV]["route"]) == ("0", "adjust")
    assert ENV not in container["skipped"]
    assert container["restart"] == {}


def test_after_a_restart_of_the_daemon_it_is_not_certain_what_a_creation_has_set() -> None:
    node, _ = node_with_gpu_pod()
    restart = explained(node.restarted())["containers"][0]["restart"][ENV]
    assert (restart["now"], restart["value"], restart["certain"]) == (None, "0", False)


def test_one_container_can_be_asked_for() -> None:
    node = FakeNode(2)
    pod = node.pod("p")
    node.container(pod, "main")
    node.container(pod, "side")
    assert [c["name"] for c in explained(node, container="side")["containers"]] == ["side"]


def test_the_policy_in_force_is_named() -> None:
    policy = explained(node_with_pinned_pod())["policy"]
    assert policy.keys() == {"revision", "source", "since", "strategies", "refused"}


def test_a_mistake_in_an_annotation_is_an_error_of_its_container() -> None:
    node = FakeNode(2)
    node.container(node.pod("p", "LSR", annotations=pinned_to("nonsense")))
    assert any(error["container"] == "main" and error["hook"] == "cpuset" for error in explained(node)["errors"])


def test_a_question_without_a_pod_and_one_with_an_unknown_parameter_are_refused() -> None:
    node = node_with_pinned_pod()
    sources = ExplainSources(
        node.ledger, node._hooks, StandingPolicy(CapturingLogger()), Allocator(), node.machine, NO_RESCTRL, None
    )
    with pytest.raises(BadQuestion, match='expected the parameter "pod"'):
        explain(sources, {})
    with pytest.raises(BadQuestion, match='unknown parameter "field"'):
        explain(sources, {"pod": "shop/p", "field": "cpu.cpus"})
    with pytest.raises(NotHere):
        explain(sources, {"pod": "shop/q"})
