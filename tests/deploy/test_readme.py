"""What the README and the pages of commands, of the daemon and of roll-outs name exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from koordnri.cli import COMMANDS
from koordnri.observe.metric_table import TABLE
from koordnri.policy.koordnri_config import RecordRoute

KOORDNRI = Path(sys.executable).with_name("koordnri")


def help_of(command: str) -> str:
    return subprocess.run([KOORDNRI, command, "--help"], capture_output=True, text=True, check=True).stdout


def flags(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text()


@pytest.fixture(scope="module")
def run_help() -> str:
    return help_of("run")


def test_flags_of_the_table_are_those_of_run(root: Path, run_help: str) -> None:
    page = (root / "docs/use/daemon.md").read_text()
    first_cells = re.findall(r"^\| (`--[^|]*) \|", page, flags=re.MULTILINE)
    assert flags(" ".join(first_cells)) == flags(run_help) - {"--help"}


@pytest.mark.parametrize("built", ["kustomized", "kustomized_base"])
def test_the_daemon_set_passes_flags_of_run(request: pytest.FixtureRequest, built: str, run_help: str) -> None:
    daemon_set: dict[str, Any] = request.getfixturevalue(built)["DaemonSet"]
    (container,) = daemon_set["spec"]["template"]["spec"]["containers"]
    assert flags(" ".join(a.partition("=")[0] for a in container["args"])) <= flags(run_help)


def test_the_chart_passes_flags_of_run(root: Path, run_help: str) -> None:
    template = (root / "helm/koordnri/templates/daemonset.yaml").read_text()
    assert flags(" ".join(re.findall(r"^ *- (--[a-z-]+)=", template, flags=re.MULTILINE))) <= flags(run_help)


def test_commands_take_the_options_shown(root: Path) -> None:
    page = (root / "docs/use/commands.md").read_text()
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL))
    shown = re.findall(r"(?:^|-- )koordnri (\w+) *([^#\n]*)", blocks, flags=re.MULTILINE)
    assert {command for command, _ in shown} == COMMANDS.keys() - {"run", "version"}
    for command, options in shown:
        text = help_of(command)
        assert flags(options) <= flags(text)
        # What `policy` prints is for programs already; `page` is for browsers, `demo` for eyes, and `v010` runs until it is stopped.
        assert "-o" in text or "--junit" in text or command in ("policy", "page", "demo", "v010")


def test_make_targets_exist(root: Path, readme: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b(?! it)", readme.replace("and make.", ""))) <= targets


def test_files_linked_exist(root: Path, readme: str) -> None:
    links = [target for target in re.findall(r"\]\(([^)]+)\)", readme) if "://" not in target]
    assert links
    assert [target for target in links if not (root / target.partition("#")[0]).exists()] == []


def test_the_metrics_named_exist(root: Path, readme: str) -> None:
    named = set(
        re.findall(
            r"`(koordnri_(?!v010_)[a-z_]+)", readme + "".join(p.read_text() for p in (root / "docs/use").glob("*.md"))
        )
    )
    assert len(named) >= len(TABLE)
    assert named <= {name for row in TABLE.values() for name in (*row.samples, row.sample)}


def test_reasons_of_events_exist(root: Path) -> None:
    source = "".join(path.read_text() for path in (root / "koordnri").rglob("*.py"))
    names = ("metrics", "remove", "roll-out", "service", "tenants")
    pages = "".join((root / f"docs/use/{name}.md").read_text() for name in names)
    reasons = set(re.findall(r"\(`([A-Z][a-z]+(?:[A-Z][A-Za-z]*)+)`", pages))
    assert "PolicyRefused" in reasons
    assert [reason for reason in reasons if f'"{reason}"' not in source] == []


def test_routes_of_the_table_are_those_that_can_be_asked_for(root: Path) -> None:
    table = (root / "docs/use/roll-out.md").read_text().partition("| route |")[2].partition("\n\n")[0]
    assert {*re.findall(r"^\| `([a-z]+)` \|", table, flags=re.MULTILINE), "auto"} == set(get_args(RecordRoute))


def test_folders_to_apply_and_values_to_set_exist(root: Path, readme: str) -> None:
    table = readme.partition("| the policy is |")[2].partition("\n\n")[0]
    folders, values = re.findall(r"`(deploy[a-z/]*)`", table), re.findall(r"`([A-Za-z]+\.[A-Za-z]+)=", table)
    assert len(folders) == 3
    assert [f for f in folders if not (root / f / "kustomization.yaml").exists()] == []
    known = yaml.safe_load((root / "helm/koordnri/values.yaml").read_text())
    assert values
    assert [v for v in values if v.split(".")[1] not in known[v.split(".")[0]]] == []


def test_resctrl_is_turned_on_as_the_page_says(root: Path) -> None:
    page = (root / "docs/use/daemon.md").read_text()
    (component,) = re.findall(r"`kustomize edit add component (\w+)` in `deploy`", page)
    (section, value), *_ = re.findall(r"`(resctrl)\.(\w+)=true`", page)
    content = yaml.safe_load((root / "deploy" / component / "kustomization.yaml").read_text())
    assert content["kind"] == "Component"
    known = yaml.safe_load((root / "helm/koordnri/values.yaml").read_text())
    assert known[section][value] is False
