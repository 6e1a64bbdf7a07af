"""The manifests as objects: what `kubectl apply -k` and what `helm template` would send."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.deploy import kustomize

ROOT = Path(__file__).resolve().parents[2]
LAB_DIR = Path(os.environ.get("KOORDNRI_LAB_DIR") or ROOT / ".cache" / "lab")
Manifest = dict[str, Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Building helm takes 2 minutes, which `make test` has not."""
    for item in items:
        if "helm" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.full)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


def by_kind(folder: str) -> dict[str, Manifest]:
    objects = {manifest["kind"]: manifest for manifest in kustomize.build(ROOT / folder)}
    assert len(objects) == len(kustomize.build(ROOT / folder)), "two objects of one kind"
    return objects


@pytest.fixture(scope="session")
def kustomized() -> dict[str, Manifest]:
    """Kind → object of `kubectl apply -k deploy/`."""
    return by_kind("deploy")


@pytest.fixture(scope="session")
def kustomized_base() -> dict[str, Manifest]:
    """Kind → object of `kubectl apply -k deploy/base`: without access to the API server."""
    return by_kind("deploy/base")


@pytest.fixture(scope="session")
def kustomized_koordinator() -> dict[str, Manifest]:
    """Kind → object of `kubectl apply -k deploy/koordinator`: with Koordinator's own ConfigMap."""
    return by_kind("deploy/koordinator")


@pytest.fixture(scope="session")
def kustomized_resctrl() -> dict[str, Manifest]:
    """Kind → object of `kubectl apply -k deploy/` with the component deploy/resctrl."""
    return {m["kind"]: m for m in kustomize.with_component(ROOT / "deploy", ROOT / "deploy/resctrl")}


@pytest.fixture(scope="session")
def kustomized_annotation() -> dict[str, Manifest]:
    """Kind → object of `kubectl apply -k deploy/` with the component deploy/node-annotation."""
    return {m["kind"]: m for m in kustomize.with_component(ROOT / "deploy", ROOT / "deploy/node-annotation")}


@pytest.fixture(scope="session")
def kustomized_topology() -> dict[str, Manifest]:
    """Kind → object of `kubectl apply -k deploy/` with the component deploy/topology."""
    return {m["kind"]: m for m in kustomize.with_component(ROOT / "deploy", ROOT / "deploy/topology")}


@pytest.fixture(scope="session")
def kustomized_namespaces() -> dict[str, Manifest]:
    """Kind → object of `kubectl apply -k deploy/` with the component deploy/namespaces."""
    return {m["kind"]: m for m in kustomize.with_component(ROOT / "deploy", ROOT / "deploy/namespaces")}


@pytest.fixture(scope="session")
def kustomized_eviction() -> dict[str, Manifest]:
    """Kind → object of `kubectl apply -k deploy/` with the component deploy/eviction."""
    return {m["kind"]: m for m in kustomize.with_component(ROOT / "deploy", ROOT / "deploy/eviction")}


@pytest.fixture(scope="session")
def kustomized_verify() -> list[Manifest]:
    """What the component deploy/verify adds to `kubectl apply -k deploy/`."""
    without = kustomize.build(ROOT / "deploy")
    return [m for m in kustomize.with_component(ROOT / "deploy", ROOT / "deploy/verify") if m not in without]


@pytest.fixture(scope="session")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run helm on the chart, or on a copy in `folder`: helm("template", "--set", "x=y")."""
    built = LAB_DIR / "bin" / "helm"
    binary = str(built) if built.exists() else shutil.which("helm")
    if binary is None:
        pytest.skip(f"no helm: neither {built} (tools/lab_helm.py builds it) nor on PATH")

    def run(
        command: str, *arguments: str, folder: Path = ROOT / "helm" / "koordnri"
    ) -> subprocess.CompletedProcess[str]:
        # Built by `go install`, helm thinks of Kubernetes 1.20 when nobody names a version.
        version = () if command == "lint" else ("--kube-version", "1.33.0", "--namespace", "koordnri-system")
        chart = [str(folder)] if command == "lint" else ["koordnri", str(folder)]
        return subprocess.run([binary, command, *chart, *version, *arguments], capture_output=True, text=True)

    return run
