"""Cases in which an annotation or a policy did not do what its writer meant, or did nothing and nobody said so."""

from __future__ import annotations

from case_runner import explained


def test_a_batch_pod_is_idle_and_its_class_is_not() -> None:
    found = explained("idle-pod.yaml", policy="idle-policy.yaml")
    assert found.pod_field("batch", "cpu.idle") == 1
    assert found.errors("batch") == []


def test_an_unreadable_memoryQOS_leaves_the_values_of_the_class() -> None:
    found = explained("08-pod.yaml", policy="08-policy.yaml")
    assert found.container_field("m", "c", "memory.min") == 429496729
    assert found.container_field("m", "c", "memory.high") == 1932734464
    assert found.pod_field("m", "memory.min") == 429496729
    assert any("koordinator.sh/memoryQOS" in error for error in found.errors("m"))


def test_null_in_what_schedulers_write_is_unset_and_letter_case_of_keys_does_not_matter() -> None:
    found = explained("nulls.yaml")
    assert {name: found.errors(name) for name in found.pods} == {f"n{i}": [] for i in range(1, 9)}
    for pod in ("n1", "n7"):
        assert found.container_field(pod, "a", "cpu.cpus") == "0-1"
    assert found.container_field("n4", "a", "env[NVIDIA_VISIBLE_DEVICES]") == "0"
