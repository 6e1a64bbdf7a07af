"""`koordnri map`: as text, as SVG, as JSON; of the running daemon's node and of a described one."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result

from koordnri.cli import cli
from tests.cli.drawn_map import NAMESPACE
from tests.observe.driven import driven
from tests.support.manifests import owner_manifest

# -- the command ------------------------------------------------------------------------------------------------------

NODE = {"name": "n1", "topology": {"coresPerNuma": 4}, "kubelet": {"reservedCPUs": "0"}}


def run(directory: Path, *options: str, pods: Any = None, node: Any = NODE) -> Result:
    (directory / "node.yaml").write_text(yaml.safe_dump(node))
    command = ["map", "--node", str(directory / "node.yaml"), *options]
    if pods is not None:
        (directory / "pods.yaml").write_text(yaml.safe_dump_all(pods))
        command += ["-f", str(directory / "pods.yaml")]
    return CliRunner().invoke(cli, command)


def test_a_described_node_without_pods_shows_what_is_reserved(tmp_path: Path) -> None:
    shape = json.loads(run(tmp_path, "-o", "json").stdout)
    assert (shape["owners"], shape["sets"]["reserved"], shape["sets"]["shared"]) == ([], "0", "1-3")


def test_pods_of_a_file_own_what_explain_gives_them(tmp_path: Path) -> None:
    ended = {"initContainers": [{**owner_manifest("x", "2")["spec"]["containers"][0], "name": "first"}]}
    pods = [owner_manifest("web", "2", **ended), owner_manifest("late", "2")]
    done = run(tmp_path, "-o", "json", pods=pods)
    shape = json.loads(done.stdout)
    # The init container has ended: the main one has its CPUs.
    assert [(o["pod"], o["container"], o["cpus"]) for o in shape["owners"]] == [("shop/web", "main", "1-2")]
    assert shape["sets"]["several"] == ""
    explained = CliRunner().invoke(
        cli, ["explain", "-f", str(tmp_path / "pods.yaml"), "--node", str(tmp_path / "node.yaml"), "-o", "json"]
    )
    (main,) = (c for c in json.loads(explained.stdout)[0]["containers"] if c["name"] == "main")
    assert main["fields"]["cpu.cpus"]["value"] == "1-2"


def test_the_outputs_show_the_same_owner(tmp_path: Path) -> None:
    pods = [owner_manifest("web", "2")]
    assert "A  shop/web main  LSR  1-2  by koordnri" in run(tmp_path, pods=pods).stdout
    root = ET.fromstring(run(tmp_path, "-o", "svg", pods=pods).stdout)
    assert sum(t.text == "CPU 1, core 1: shop/web main LSR" for t in root.iter(f"{NAMESPACE}title")) == 1


def test_a_policy_counts(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("koordnri-config: {hooks: {cpuset: {allocate: false}}}\n")
    done = run(tmp_path, "-o", "json", "--policy", str(tmp_path / "policy.yaml"), pods=[owner_manifest("web", "2")])
    assert json.loads(done.stdout)["owners"] == []


def test_files_without_a_node_are_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["map", "-f", "pods.yaml", "--state-dir", str(tmp_path)])
    assert done.exit_code == 2
    assert "-f and --policy belong to a described node: expected --node, too" in done.stderr


def test_a_node_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, node={"topologies": {}})
    assert done.exit_code == 2
    assert "topologies: unknown key" in done.stderr


def test_the_running_daemon_answers(tmp_path: Path) -> None:
    with driven(tmp_path):
        done = CliRunner().invoke(cli, ["map", "--state-dir", str(tmp_path / "state"), "-o", "json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["node"] == "n"
