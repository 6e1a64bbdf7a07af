"""Maps of CPUs, drawn for machines of several sizes."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from koordnri.answers.map import drawn
from koordnri.cli.map_text import picture
from koordnri.model import CPUSet, NodeState, Pod
from koordnri.model.topology import CPU, Topology

TWO = Topology.regular(1, 1, 1, 2)
SIXTEEN = Topology.regular(1, 2, 4, 2)
LARGE_L3 = Topology.regular(2, 1, 96, 2)
SMALL_L3 = Topology.of(
    [CPU(core + 192 * thread, core, core // 8, core // 96, core // 96) for core in range(192) for thread in (0, 1)]
)
EACH_ITS_L3 = Topology.of([CPU(n, n, n, 0, 0) for n in range(200)])
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
