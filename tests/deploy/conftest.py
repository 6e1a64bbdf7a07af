"""The manifests as objects: what `kubectl apply -k deploy/` and what `helm template` would send."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LAB_DIR = Path(os.environ.get("KOORDNRI_LAB_DIR") or ROOT / ".cache" / "lab")
Manifest = dict[str, Any]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def kustomized() -> dict[str, Manifest]:
    """Kind → object: the resources named by kustomization.yaml, with its image put in."""
    base = ROOT / "deploy"
    kustomization = yaml.safe_load((base / "kustomization.yaml").read_text())
    objects = [yaml.safe_load((base / name).read_text()) for name in kustomization["resources"]]
    images = {image["name"]: f"{image['newName']}:{image['newTag']}" for image in kustomization["images"]}
    for manifest in objects:
        if manifest["kind"] == "DaemonSet":
            for container in manifest["spec"]["template"]["spec"]["containers"]:
                container["image"] = images[container["image"]]
    return {manifest["kind"]: manifest for manifest in objects}


@pytest.fixture(scope="session")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run helm on the chart: helm("template", "--set", "x=y")."""
    built = LAB_DIR / "bin" / "helm"
    binary = str(built) if built.exists() else shutil.which("helm")
    if binary is None:
        pytest.skip(f"no helm: neither {built} (tools/lab_helm.py builds it) nor on PATH")

    def run(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        # Built by `go install`, helm thinks of Kubernetes 1.20 when nobody names a version.
        version = () if command == "lint" else ("--kube-version", "1.33.0", "--namespace", "koordnri-system")
        chart = (
            [str(ROOT / "helm" / "koordnri")] if command == "lint" else ["koordnri", str(ROOT / "helm" / "koordnri")]
        )
        return subprocess.run([binary, command, *chart, *version, *arguments], capture_output=True, text=True)

    return run
