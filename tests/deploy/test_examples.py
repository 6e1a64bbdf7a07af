"""The examples are what they say: valid manifests, a policy without warnings, and the decisions a reader expects."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from koordnri.policy import read_policy

KOORDNRI = Path(sys.executable).with_name("koordnri")


@pytest.fixture(scope="module")
def pods(root: Path) -> dict[str, dict[str, Any]]:
    return {p["metadata"]["name"]: p for p in yaml.safe_load_all((root / "examples/pods.yaml").read_text()) if p}


def test_pods_are_valid(pods: dict[str, dict[str, Any]]) -> None:
    for pod in pods.values():
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


def test_all_annotations_but_one_are_json(pods: dict[str, dict[str, Any]]) -> None:
    def broken(pod: dict[str, Any]) -> bool:
        try:
            for text in pod["metadata"].get("annotations", {}).values():
                json.loads(text)
        except json.JSONDecodeError:
            return True
        return False

    assert [name for name, pod in pods.items() if broken(pod)] == ["mistaken"]


def test_policy_has_no_mistake_and_no_warning(root: Path) -> None:
    policy = root / "examples/policy.yaml"
    kubernetes_validate.validate(yaml.safe_load(policy.read_text()), "1.32", strict=True)
    assert read_policy(policy).warnings == ()


@pytest.fixture(scope="module")
def explained(root: Path, pods: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Pod name → what `koordnri explain` decides for it."""
    result = {}
    for name, pod in pods.items():
        manifest = tmp_path_factory.mktemp("pods") / f"{name}.yaml"
        manifest.write_text(yaml.safe_dump(pod))
        context = ["--policy", root / "examples/policy.yaml", "--node", root / "examples/node.yaml"]
        command = [KOORDNRI, "explain", "-f", manifest, *context, "-o", "json"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.stdout, done.stderr
        result[name] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize(
    ("pod", "container", "expected"),
    [
        ("database", "postgres", {"cpu.cpus": "2-3,10-11", "cpu.quota": -1, "rdt.closid": "LSR"}),
        # 2 CPUs on a node whose CPU does 1.2 times the work: 200000 / 1.2, rounded up. 50 % and 80 % of the 1 GiB request.
        ("web", "nginx", {"cpu.quota": 166667, "memory.min": 512 << 20, "memory.low": 858993459, "rdt.closid": "LS"}),
        # batch-cpu 2000 requested, 4000 limit, on the same CPU: 400000 / 1.2, rounded up.
        ("training", "worker", {"cpu.shares": 2048, "cpu.quota": 333334, "memory.limit": 8 << 30, "rdt.closid": "BE"}),
        ("inference", "server", {"env[NVIDIA_VISIBLE_DEVICES]": "1", "env[CUDA_DEVICE_MEMORY_LIMIT]": str(8 << 30)}),
        ("plain", "app", {"cpu.quota": 41667}),
    ],
)
def test_decisions(explained: dict[str, Any], pod: str, container: str, expected: dict[str, Any]) -> None:
    (decided,) = [c["fields"] for c in explained[pod]["containers"] if c["name"] == container]
    values = {field: decided.get(field, {}).get("value") for field in expected}
    assert values == expected


def test_a_mistake_costs_one_hook(explained: dict[str, Any]) -> None:
    mistaken = explained["mistaken"]
    assert {e["hook"] for e in mistaken["errors"]} >= {"cpuset"}
    assert {"cpuset"} >= {e["hook"] for e in mistaken["errors"]} - {"cfs_quota"}
    (container,) = mistaken["containers"]
    assert container["fields"]["rdt.closid"]["value"] == "LSR"


def test_demo_ends_by_itself(root: Path) -> None:
    """What `make demo` runs, once the environment is there."""
    files = ["-f", "examples/pods.yaml", "--policy", "examples/policy.yaml", "--node", "examples/node.yaml"]
    done = subprocess.run([KOORDNRI, "simulate", *files], cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    for name in ("database", "web", "training", "backup", "inference", "plain", "mistaken"):
        assert name in done.stdout
