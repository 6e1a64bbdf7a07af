"""docs/use/install.md, and what remove.md says of the chart: commands, the folder for kubectl and figures are those of the files."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from koordnri.cli import COMMANDS
from tests.deploy import kustomize

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/use/install.md").read_text()
REMOVE = (ROOT / "docs/use/remove.md").read_text()
COMMANDS_SHOWN = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE + REMOVE, re.DOTALL))
FOLDERS = ("deploy", "deploy/base", "deploy/koordinator")
KUBECTL = shutil.which("kubectl")
"""Not part of the laboratory: where there is none, tests/deploy/kustomize.py alone stands for it."""


def by_kubectl(folder: Path) -> list[dict[str, Any]]:
    assert KUBECTL is not None
    done = subprocess.run([KUBECTL, "kustomize", str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def named(manifests: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(m["kind"], m["metadata"]["name"]): m for m in manifests}


@pytest.fixture
def my_cluster(tmp_path: Path) -> Path:
    """The page's folder, beside deploy/, with a component that it names in a comment."""
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    components = re.findall(r"\.\./(deploy/[\w-]+)", text.partition("components:")[2].partition("\n")[0])
    assert [c for c in components if not (ROOT / c / "kustomization.yaml").exists()] == []
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    folder = tmp_path / "my-cluster"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(text.replace("components: []", "components: [../deploy/resctrl]"))
    return folder


@pytest.mark.parametrize("build", [kustomize.build, *([by_kubectl] if KUBECTL else [])])
def test_the_folder_for_kubectl_names_the_image_and_adds_the_component(my_cluster: Path, build: Any) -> None:
    daemon = named(build(my_cluster))["DaemonSet", "koordnri"]["spec"]["template"]["spec"]
    assert daemon["containers"][0]["image"] == "registry.example/koordnri:0.1.0"
    assert daemon["hostPID"] is True


if KUBECTL:

    @pytest.mark.parametrize("folder", FOLDERS)
    def test_kubectl_builds_what_the_tests_of_manifests_look_at(folder: str) -> None:
        assert named(by_kubectl(ROOT / folder)) == named(kustomize.build(ROOT / folder))


def test_readmes_one_line_finds_the_image() -> None:
    (found, instead) = re.findall(r"kubectl kustomize deploy \| sed 's#(.*)#(.*)#'", (ROOT / "README.md").read_text())[
        0
    ]
    text = yaml.safe_dump_all(kustomize.build(ROOT / "deploy"))
    assert (text.count(found), instead) == (1, found.replace("koordnri:", "registry.example/koordnri:"))


def test_the_commands_and_values_exist() -> None:
    assert set(re.findall(r"(?:-- |`)koordnri (\w+)", PAGE)) <= COMMANDS.keys()
    values = yaml.safe_load((ROOT / "helm/koordnri/values.yaml").read_text())
    shown = set(re.findall(r"--set ([\w.]+)=", COMMANDS_SHOWN)) | {"release.onDelete", "doctor.initContainer"}
    assert len(shown) == 3
    assert [v for v in shown if v.split(".")[1] not in values[v.split(".")[0]]] == []


def test_the_variables_of_make_image_are_those_of_its_script() -> None:
    table = set(re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE))
    assert table == set(re.findall(r"\$\{([A-Z_]+):-\}", (ROOT / "tools/image.sh").read_text()))


def test_the_names_of_the_hooks_objects_are_the_charts() -> None:
    template = (ROOT / "helm/koordnri/templates/release.yaml").read_text()
    (name,) = re.findall(r'\$name := "([\w-]+)"', template)
    assert f"logs job/{name}" in COMMANDS_SHOWN
    deleted = re.findall(r"delete ([\w,]+) -l app.kubernetes.io/name=([\w-]+)", COMMANDS_SHOWN)
    kinds = {kind.lower() for kind in re.findall(r"^kind: (\w+)", template, re.MULTILINE)}
    assert [(set(found.split(",")), label) for found, label in deleted] == [(kinds, name)]


def test_the_resources_are_those_of_the_manifests() -> None:
    rows = dict(re.findall(r"^\| (CPU|memory) \| (.*?) \| .*\|$", PAGE, re.MULTILINE))
    resources = yaml.safe_load((ROOT / "helm/koordnri/values.yaml").read_text())["resources"]
    assert rows == {
        "CPU": resources["requests"]["cpu"],
        "memory": resources["requests"]["memory"].replace("Mi", " MiB"),
    }
    assert f"| {resources['limits']['memory'].replace('Mi', ' MiB')} |" in PAGE
