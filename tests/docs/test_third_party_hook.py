"""examples/third-party-hook as a third party has it: built, installed beside koordnri, found by its entry point."""

from __future__ import annotations

import ast
import json
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/third-party-hook"
KEY = "pids.example.com/limit"
POLICY = {"koordnri-config": {"hooks": {"pids_limit": {"options": {"most": 500}}}}}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with this one's packages and the example's. Nothing is fetched."""
    work = tmp_path_factory.mktemp("third-party")
    venv.create(work / "venv", symlinks=True)
    python = work / "venv/bin/python"
    (packages,) = (work / "venv/lib").glob("python*/site-packages")
    # With the .pth files that are there, by which koordnri itself is found where it is installed for development.
    lines = [f"import site; site.addsitedir({folder!r})\n" for folder in site.getsitepackages()]
    (packages / "koordnri-and-what-it-needs.pth").write_text("".join(lines))
    shutil.copytree(EXAMPLE, work / "source")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "install", "--quiet"]
    options = ["--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, *options, str(work / "source")], check=True, capture_output=True, text=True)
    return python


def run_json(python: Path, work: Path, command: str, limit: str) -> Any:
    container = {"name": "main", "image": "busybox"}
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "annotations": {KEY: limit}},
        "spec": {"containers": [container]},
    }
    (work / "pod.yaml").write_text(json.dumps(manifest))
    (work / "policy.yaml").write_text(json.dumps(POLICY))
    files = ["-f", "pod.yaml", "--policy", "policy.yaml", "-o", "json"]
    done = subprocess.run(
        [str(python), "-m", "koordnri.cli", command, *files], cwd=work, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("limit", "decided"), [("100", 100), ("900", 500)])
def test_it_is_asked_and_reads_the_options_that_the_policy_has_for_it(
    python: Path, tmp_path: Path, limit: str, decided: int
) -> None:
    explained = run_json(python, tmp_path, "explain", limit)
    setting = explained["containers"][0]["fields"]["pids.limit"]
    assert (setting["value"], setting["hook"], setting["route"]) == (decided, "pids_limit", "adjust")


def test_what_the_pods_owner_wrote_wrong_is_reported_as_such(python: Path, tmp_path: Path) -> None:
    (error,) = run_json(python, tmp_path, "explain", "high")["errors"]
    assert error["hook"] == "pids_limit"
    assert error["message"] == f"annotation {KEY}: expected a whole number, got 'high'"


def test_a_container_gets_what_it_decides_through_the_daemon(python: Path, tmp_path: Path) -> None:
    (container,) = run_json(python, tmp_path, "simulate", "100")["containers"]
    assert container["result"]["resources"]["pids.limit"] == 100


def test_it_imports_nothing_of_koordnri_but_the_public_interface() -> None:
    tree = ast.parse((EXAMPLE / "pids_limit_hook.py").read_text())
    imports = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imports | names == {"koordnri.hook"}
