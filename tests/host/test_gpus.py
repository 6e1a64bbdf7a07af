"""The NUMA node of each GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from koordnri.host.files import HostFiles
from koordnri.host.gpus import read_gpu_numa_nodes


def write(root: Path, files: dict[str, str]) -> HostFiles:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return HostFiles(root)


def nvidia(address: str, minor: str, node: str) -> dict[str, str]:
    return {
        f"proc/driver/nvidia/gpus/{address}/information": f"Model: \t\t X\nDevice Minor: \t {minor}\nGPU Excluded:\t No\n",
        f"sys/bus/pci/devices/{address}/numa_node": f"{node}\n",
    }


def test_nvidias_minors_are_those_of_its_driver(tmp_path: Path) -> None:
    files = write(tmp_path, nvidia("0000:3b:00.0", "1", "0") | nvidia("0000:af:00.0", "0", "1"))
    assert read_gpu_numa_nodes(files) == {1: 0, 0: 1}
    assert files.problems == []


def test_other_gpus_are_counted_by_their_render_nodes(tmp_path: Path) -> None:
    drm = {"sys/class/drm/renderD128/device/numa_node": "1\n", "sys/class/drm/renderD130/device/numa_node": "0\n"}
    assert read_gpu_numa_nodes(write(tmp_path, drm | {"sys/class/drm/card0/device/numa_node": "1\n"})) == {0: 1, 2: 0}


@pytest.mark.parametrize("node", ["-1"])
def test_a_device_whose_node_is_not_stated_has_none(tmp_path: Path, node: str) -> None:
    files = write(tmp_path, nvidia("0000:3b:00.0", "0", node))
    assert (read_gpu_numa_nodes(files), files.problems) == ({}, [])


def test_a_malformed_node_is_a_problem_and_a_malformed_minor_no_device(tmp_path: Path) -> None:
    files = write(tmp_path, nvidia("0000:3b:00.0", "0", "x") | nvidia("0000:af:00.0", "none", "0"))
    assert read_gpu_numa_nodes(files) == {}
    assert len(files.problems) == 1


def test_a_machine_without_gpus(tmp_path: Path) -> None:
    assert read_gpu_numa_nodes(HostFiles(tmp_path)) == {}
