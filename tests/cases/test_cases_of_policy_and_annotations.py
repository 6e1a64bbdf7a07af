"""Cases in which an annotation or a policy did not do what its writer meant, or did nothing and nobody reported it."""

from __future__ import annotations

from koordnri.cli import cli
from tests.cases.case_runner import explained, path, run


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
    assert found.container_field("n1", "a", "cpu.cpus") == "0-1"
    assert found.container_field("n7", "a", "cpu.cpus") == "4-5"
    assert found.container_field("n4", "a", "env[NVIDIA_VISIBLE_DEVICES]") == "0"


def checked(policy: str, *options: str) -> tuple[int, list[str]]:
    """Exit code of `policy check`, and the paths of its warnings."""
    done = run(cli, "policy", "check", path(policy), *options)
    lines = [line.partition(": warning: ")[2] for line in done.stderr.splitlines()]
    return done.exit_code, [line.partition(":")[0] for line in lines if line]


def test_every_line_of_a_policy_that_does_nothing_is_reported() -> None:
    code, paths = checked("07-silently-ignored.policy.yaml")
    assert code == 0
    assert paths == [
        "resource-qos-config.policies.cpuPolicy",
        "resource-qos-config.lsClass.networkQOS",
    ]
    assert checked("07-silently-ignored.policy.yaml", "--strict")[0] == 2


def test_a_ratio_below_1_of_one_model_is_reported_and_the_policy_taken() -> None:
    name = "03-normalization-docs-example.policy.yaml"
    code, paths = checked(name)
    assert code == 0
    assert paths == ["cpu-normalization-config.ratioModel.Example CPU A @ 2.40GHz.hyperThreadEnabledRatio"]
    assert checked(name, "--strict")[0] == 2


def test_how_schedIdle_counts_here_is_a_note_and_no_mistake() -> None:
    done = run(cli, "policy", "check", "--strict", path("idle-policy.yaml"))
    assert done.exit_code == 0
    assert "note: resource-qos-config.beClass.cpuQOS.schedIdle: BE pods become idle each" in done.stderr


def test_tags_that_no_policy_has_are_refused_with_their_place() -> None:
    for name in ("policy-bool.yaml", "policy-int.yaml"):
        done = run(cli, "policy", "check", path(name))
        assert done.exit_code == 2
        assert "bad, the daemon would refuse it" in done.stdout
        assert "Traceback" not in done.output


def test_a_class_that_is_unknown_or_in_the_wrong_place_is_reported() -> None:
    found = explained("qoscase.yaml")
    remarks = {name: shape["remarks"] for name, shape in found.pods.items()}
    assert {name: len(lines) for name, lines in remarks.items()} == dict.fromkeys("abcd", 1)
    assert "did you mean LSR?" in remarks["a"][0]
    assert "annotation koordinator.sh/qosClass" in remarks["b"][0]
    assert "did you mean LSR?" in remarks["c"][0]
    assert "label koordinator.sh/qos-class" in remarks["d"][0]


def test_a_broken_annotation_of_cpus_costs_no_other_hook_anything() -> None:
    found = explained("broken-escapes.yaml", policy="08-policy.yaml")
    for pod in ("broken-status", "broken-spec"):
        assert any("scheduling.koordinator.sh" in error for error in found.errors(pod))
        assert "memory" not in {e["hook"] for e in found.pods[pod]["errors"]}
