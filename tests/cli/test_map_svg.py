"""The map as SVG."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest

from koordnri.cli.map_svg import picture as svg
from koordnri.model import CPUSet
from koordnri.model.topology import Topology
from tests.cli.drawn_map import EACH_ITS_L3, LARGE_L3, MACHINES, NAMESPACE, TWO, owned, shape_of, text_of


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
