"""Cases of what a pod's spec or status says beyond its containers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from koordnri.cli.diff import diff
from koordnri.cli.explain import explain
from koordnri.cli.simulate import simulate
from tests.cases.case_runner import explained, files, path, run

NOBODY_ALLOCATES = '{"clusterStrategy": {"hooks": {"cpuset": {"allocate": false}}}}'


@pytest.mark.parametrize("command", [explain, simulate])
def test_a_job_that_has_ended_holds_no_cpus(command: Any) -> None:
    done = run(command, "-f", path("two-jobs-ended.yaml"), *files(node="node8.yaml"), "-o", "json")
    assert done.exit_code == 0, done.stderr
    (job,) = json.loads(done.stdout)
    assert job["pod"]["name"] == "job-b"
    assert job["errors"] == []
    (work,) = job["containers"]
    assert work["fields"]["cpu.cpus"]["value"] == "0-2,4-6"
    assert done.stderr.endswith("two-jobs-ended.yaml: 1 of 2 pods have ended: passed over\n")


def test_a_job_that_has_ended_is_not_compared(tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(f"koordnri-config: '{NOBODY_ALLOCATES}'\n")
    new.write_text("koordnri-config: '{}'\n")
    arguments = ["--policy", str(new), "--against", str(old), "-f", path("two-jobs-ended.yaml")]
    done = run(diff, *arguments, *files(node="node8.yaml"), "-o", "json")
    found = {(d["pod"], d["field"]): d["after"] for d in json.loads(done.stdout)["differences"] if d["container"]}
    assert found["job-b", "cpu.cpus"] == "0-2,4-6"
    assert {pod for pod, _ in found} == {"job-b"}


def test_a_file_of_pods_that_have_all_ended_explains_nothing(tmp_path: Path) -> None:
    ended = tmp_path / "ended.yaml"
    ended.write_text(Path(path("two-jobs-ended.yaml")).read_text().split("---")[0])
    assert explained(ended).pods == {}


MI, GI = 1 << 20, 1 << 30
HALF_IS_PROTECTED = "10-pod-level-resources.policy.yaml"


def test_limits_of_a_be_pod_include_the_overhead_of_its_runtimeclass() -> None:
    found = explained("kata.yaml", node="node8.yaml")
    assert found.pod_field("kata-be", "cpu.quota") == 225_000
    assert found.pod_field("kata-be", "memory.limit") == GI + 120 * MI
    assert found.container_field("kata-be", "app", "cpu.quota") == 200_000
    assert found.container_field("kata-be", "app", "memory.limit") == GI


def test_a_pod_is_protected_by_resources_of_its_own() -> None:
    found = explained("10-pod-level-resources.pod.yaml", node="10-12.node.yaml", policy=HALF_IS_PROTECTED)
    assert found.pod_field("plr", "memory.min") == 1073741824
    assert found.container_field("plr", "a", "memory.min") is None
    assert found.container_field("plr", "b", "memory.min") is None


def test_pods_with_and_without_resources_of_their_own_are_protected_alike(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        json.dumps(
            {
                "resource-qos-config": {
                    "clusterStrategy": {
                        name: {"memoryQOS": {"enable": True, "minLimitPercent": 50, "throttlingPercent": 80}}
                        for name in ("lsrClass", "lsClass")
                    }
                }
            }
        )
    )
    found = explained("podlevel.yaml", node="node8.yaml", policy=str(policy))
    assert [found.pod_field(pod, "memory.min") for pod in ("p1", "p2", "p3", "p4")] == [2 * GI, 2 * GI, GI, GI]
    throttled = {
        (name, container["name"]): found.container_field(name, container["name"], "memory.high")
        for name, shape in found.pods.items()
        for container in shape["containers"]
    }
    assert throttled == {
        ("p1", "a"): 4 * GI,
        ("p1", "b"): 4 * GI,
        ("p2", "a"): GI,
        ("p2", "b"): 4 * GI,
        ("p3", "a"): 3865468928,  # 2 Gi + 80 % of 2 Gi, down to a whole page
        ("p3", "b"): 3865468928,
        ("p4", "a"): 3865468928,
    }


def test_a_pods_own_quota_is_normalised_with_its_overhead(tmp_path: Path) -> None:
    pod = tmp_path / "pod.yaml"
    pod.write_text(Path(path("kata.yaml")).read_text().split("---")[1].replace("LSR", "LS"))
    found = explained(pod, node="10-12.node.yaml")
    assert found.container_field("kata-lsr", "app", "cpu.quota") == 160_000
    assert found.pod_field("kata-lsr", "cpu.quota") == 180_000  # of 2 CPUs and 250m
