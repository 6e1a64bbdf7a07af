"""Cases in which a fact of the node was not known, or not honoured everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from koordnri.cli.diff import diff
from koordnri.cli.explain import explain
from koordnri.cli.simulate import simulate
from koordnri.host import read_node
from koordnri.model import CPUSet
from tests.cases.case_runner import explained, files, path, run


@pytest.mark.parametrize("command", [explain, simulate])
def test_commands_honour_the_reservation_and_who_may_use_the_systems_cpus(command: Any) -> None:
    found = explained("01-reservation-explain.pods.yaml", node="01-reservation-explain.node.yaml", command=command)
    own = CPUSet.parse(found.container_field("own", "c", "cpu.cpus"))
    shared = found.container_field("ls", "c", "cpu.cpus").split(",")
    assert len(own) == 4
    assert not own & CPUSet.parse("0-1,8-9")
    # 2-3 are SYSTEM's, but not for itself alone.
    assert own | CPUSet.parse(",".join(shared)) == CPUSet.parse("2-7,10-15")


@pytest.mark.parametrize("command", [explain, simulate])
def test_a_reservation_by_quantity_takes_whole_cores_out_of_the_pools(command: Any) -> None:
    found = explained("01-reservation-explain.pods.yaml", node="02-reservation-quantity.node.yaml", command=command)
    own = CPUSet.parse(found.container_field("own", "c", "cpu.cpus"))
    shared = CPUSet.parse(found.container_field("ls", "c", "cpu.cpus"))
    assert own | shared == CPUSet.parse("1-7,9-15")


def test_diff_honours_the_reservation(tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text('koordnri-config: \'{"clusterStrategy": {"hooks": {"cpuset": {"allocate": false}}}}\'\n')
    new.write_text("koordnri-config: '{}'\n")
    pods = path("01-reservation-explain.pods.yaml")
    arguments = ["-f", pods, *files(node="02-reservation-quantity.node.yaml"), "-o", "json"]
    done = run(diff, "--policy", str(new), "--against", str(old), *arguments)
    found = {(d["pod"], d["container"], d["field"]): d for d in json.loads(done.stdout)["differences"]}
    assert found["own", "c", "cpu.cpus"]["after"] == "1-2,9-10"


def test_whole_cores_are_found_where_core_ids_start_again_in_each_cluster(tmp_path: Path) -> None:
    cpus = "sys/devices/system/cpu"
    files = {f"{cpus}/online": "0-7"}
    for cpu in range(8):
        files[f"{cpus}/cpu{cpu}/topology/physical_package_id"] = "0"
        files[f"{cpus}/cpu{cpu}/topology/core_id"] = str(cpu % 4)
        files[f"{cpus}/cpu{cpu}/topology/thread_siblings_list"] = str(cpu)
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    topology = read_node(tmp_path, "n").topology
    assert topology is not None
    node = tmp_path / "node.yaml"
    node.write_text(json.dumps({"name": "n", "cpus": [{"cpu": c.cpu, "core": c.core} for c in topology.cpus]}))
    found = explained("full4.yaml", node=node)
    assert found.container_field("w", "a", "cpu.cpus") == "0-3"
    assert found.container_field("w", "a", "cpu.quota") == -1
