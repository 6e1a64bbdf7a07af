"""What would change the values of a running pod."""

from __future__ import annotations

from dataclasses import replace

from tests.answers.explained import ENV, explained, gpus, node_with_gpu_pod, node_with_pinned_pod


def test_a_released_pod_says_what_brings_it_back() -> None:
    node = node_with_pinned_pod()
    node.state = replace(node.state, released=frozenset({"p"}))
    shape = explained(node)
    assert shape["containers"][0]["fields"] == {}
    assert "released by `koordnri release`" in shape["leftAlone"]
    assert shape["wouldChange"][0] == shape["leftAlone"]


def test_a_namespace_that_is_left_alone_says_what_brings_it_back() -> None:
    node = node_with_pinned_pod()
    node.set_policy(koordnri_config={"namespacesLeftAlone": ["shop"]})
    assert "koordnri-config.namespacesLeftAlone" in explained(node)["leftAlone"]


def test_a_hook_that_is_only_observed_names_the_key_that_enforces_it() -> None:
    node = node_with_pinned_pod()
    node.set_policy(koordnri_config={"hooks": {"cpuset": {"mode": "observe"}}})
    shape = explained(node)
    assert shape["containers"][0]["observed"]["cpu.cpus"]["kernel"] == "2,3"
    assert any("koordnri-config.hooks.cpuset.mode: enforce" in line for line in shape["wouldChange"])


def test_what_only_a_restart_brings_says_what_is_now_and_what_would_be() -> None:
    node, pod = node_with_gpu_pod()
    node.report_again(pod, gpus(1))
    shape = explained(node)
    restart = shape["containers"][0]["restart"][ENV]
    assert (restart["now"], restart["value"], restart["certain"]) == ("0", "1", True)
    assert any(f"{ENV} of container main becomes 1 only when it is created again" in s for s in shape["wouldChange"])
    node.report_again(pod, {})
    restart = explained(node)["containers"][0]["restart"][ENV]
    assert (restart["now"], restart["value"]) == ("0", None)
