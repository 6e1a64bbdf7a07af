"""`koordnri map`: as text, as SVG, as JSON; of the running daemon's node and of a described one."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from rich.console import Console

from koordnri.answers.map import STATES as ALL_STATES
from koordnri.answers.map import drawn
from koordnri.cli import cli
from koordnri.cli.map_legend import PALETTE, STATES
from koordnri.cli.map_svg import picture as svg
from koordnri.cli.map_text import picture
from koordnri.model import CPUSet, NodeState, Pod
from koordnri.model.topology import CPU, Topology
from tests.observe.driven import driven
from tests.support.manifests import owner_manifest

TWO = Topology.regular(1, 1, 1, 2)
SIXTEEN = Topology.regular(1, 2, 4, 2)
LARGE_L3 = Topology.regular(2, 1, 96, 2)
SMALL_L3 = Topology.of(
    [CPU(core + 192 * thread, core, core // 8, core // 96, core // 96) for core in range(192) for thread in (0, 1)]
)
MACHINES = {"2": TWO, "16": SIXTEEN, "384, L3 of 96 cores": LARGE_L3, "384, L3 of 8 cores": SMALL_L3}
NAMESPACE = "{http://www.w3.org/2000/svg}"


def shape_of(topology: Topology | None, pod: str = "web", **facts: Any) -> Any:
    owner = Pod(pod, "uid", "shop", pod, {"koordinator.sh/qosClass": "LSE"})
    return drawn(NodeState(name="n1", topology=topology, **facts), [owner])


def text_of(shape: Any, width: int) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(picture(shape, width))
    return [line.rstrip() for line in captured.get().splitlines()]


def owned(cpus: str) -> Any:
    return {"uid": {"main": CPUSet.parse(cpus)}}


def test_the_picture_of_a_small_machine() -> None:
    shape = shape_of(SIXTEEN, exclusive_cpus=owned("5-6,13"), kubelet_reserved=CPUSet([0]), isolated_cpus=CPUSet([15]))
    assert text_of(shape, 80) == [
        "CPUs of node n1",
        "1 socket, 2 NUMA nodes, 2 L3 caches, 8 cores, 16 CPUs: 3 owned, 1 reserved, 1",
        "isolated, 11 shared",
        "",
        "socket 0, NUMA node 0",
        "  0-3,8-11         L3 0 #. .. .. ..",
        "socket 0, NUMA node 1",
        "  4-7,12-15        L3 1 .. AA A. .=",
        "",
        "A  shop/web main  LSE  5-6,13  by koordnri",
        ".  shared by containers without exclusive CPUs  1-4,7-12,14",
        "#  reserved for the system                      0",
        "=  isolated from the kernel's scheduler         15",
        "no share pools: nothing is taken, so all containers may use all shared CPUs",
    ]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("topology", MACHINES.values(), ids=MACHINES)
def test_every_cpu_is_in_the_picture_and_no_line_is_too_long(topology: Topology, width: int) -> None:
    lines = text_of(shape_of(topology, exclusive_cpus=owned("0-1")), width)
    assert max(map(len, lines)) <= width
    cells = [re.sub(r"^  \S+ +|L3 \d+ *", "", line) for line in lines if re.match("  [0-9]", line)]
    assert sum(len(line.replace(" ", "")) for line in cells) == len(topology.cpus)
    assert "".join(cells).count("A") == 2


def test_384_cpus_take_few_lines() -> None:
    assert len(text_of(shape_of(SMALL_L3), 120)) < 24
    assert len(text_of(shape_of(LARGE_L3), 120)) < 24


def test_offline_cpus_and_pools_and_a_node_of_which_nothing_is_known() -> None:
    lines = text_of(shape_of(TWO, offline_cpus=CPUSet([2, 3])), 80)
    assert lines[lines.index("offline") + 1] == "  2-3              --"
    assert text_of(shape_of(None), 80)[1] == "The node's CPU topology is not known."


def test_each_state_has_a_mark_of_its_own() -> None:
    assert set(STATES) | {"owned"} == set(ALL_STATES)
    assert len({mark for mark, _ in STATES.values()}) == len(STATES)


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colour", PALETTE)
def test_black_letters_can_be_read_on_every_colour(colour: str) -> None:
    # The contrast of WCAG 2.1 for small text (1.4.3), black on the colour.
    assert (luminance(colour) + 0.05) / 0.05 >= 4.5


@pytest.mark.parametrize("topology", [None, *MACHINES.values()], ids=["unknown", *MACHINES])
def test_the_svg_is_well_formed_titled_and_complete(topology: Topology | None) -> None:
    root = ET.fromstring(svg(shape_of(topology, exclusive_cpus=owned("0"), offline_cpus=CPUSet([500]))))
    title, description = root.find(f"{NAMESPACE}title"), root.find(f"{NAMESPACE}desc")
    assert title is not None
    assert description is not None
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert title.text == "CPUs of node n1"
    assert "shop/web main has 0, given by koordnri." in (description.text or "")
    cpus = [t.text or "" for t in root.iter(f"{NAMESPACE}title") if (t.text or "").startswith("CPU ")]
    assert len(cpus) == (0 if topology is None else len(topology.cpus))
    if topology is not None:
        assert cpus[0] == "CPU 0, core 0: shop/web main LSE"


def test_nothing_in_the_svg_is_wider_than_it_or_from_elsewhere() -> None:
    text = svg(shape_of(LARGE_L3, pod="w" * 253, exclusive_cpus=owned("0-383")))
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\(|@import|<script|<image|href", text)
    longest = max(len(t.text or "") for t in ET.fromstring(text).iter(f"{NAMESPACE}text"))
    assert longest * 7.25 <= 1200


def corners(element: ET.Element, x: float = 0, y: float = 0) -> Iterator[tuple[float, float]]:
    """The lower right corner of every rectangle in the picture."""
    moved = re.match(r"translate\((\S+) (\S+)\)", element.get("transform", ""))
    if moved:
        x, y = x + float(moved[1]), y + float(moved[2])
    if element.tag == f"{NAMESPACE}rect":
        yield tuple(
            base + float(element.get(at, 0)) + float(element.get(size, 0))
            for base, at, size in ((x, "x", "width"), (y, "y", "height"))
        )
    for child in element:
        yield from corners(child, x, y)


EACH_ITS_L3 = Topology.of([CPU(n, n, n, 0, 0) for n in range(200)])


@pytest.mark.parametrize("topology", [*MACHINES.values(), EACH_ITS_L3], ids=[*MACHINES, "an L3 per CPU"])
def test_every_box_is_inside_the_svg(topology: Topology) -> None:
    root = ET.fromstring(svg(shape_of(topology, exclusive_cpus=owned("0"))))
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    found = list(corners(root))
    assert len(found) > len(topology.cpus)
    assert max(x for x, _ in found) <= width
    assert max(y for _, y in found) <= height


def test_a_pods_name_cannot_break_out_of_the_svg_or_move_the_cursor() -> None:
    shape = shape_of(TWO, pod='</text><script>"&\x1b[2J', exclusive_cpus=owned("0"))
    assert "<script" not in svg(shape)
    assert any("\\x1b[2J" in (t.text or "") for t in ET.fromstring(svg(shape)).iter(f"{NAMESPACE}text"))
    assert "\x1b" not in "\n".join(text_of(shape, 200))


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
