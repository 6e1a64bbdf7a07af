"""Cases of what a pod's spec or status says beyond its containers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from case_runner import explained, files, path, run

from koordnri.cli.diff import diff
from koordnri.cli.explain import explain
from koordnri.cli.simulate import simulate

NOBODY_ALLOCATES = '{"clusterStrategy": {"hooks": {"cpuset": {"allocate": false}}}}'


@pytest.mark.parametrize("command", [explain, simulate])
def test_a_job_that_has_ended_holds_no_cpus(command: Any) -> None:
    done = run(command, "-f", path("two-jobs-ended.yaml"), *files(node="node8.yaml"), "-o", "json")
    assert done.exit_code == 0, done.stderr
    (job,) = json.loads(done.stdout)
    assert job["pod"]["name"] == "job-b"
    assert job["errors"] == []
    (work,) = job["containers"]
    assert work["fields"]["cpu.cpus"]["value"] == "0-2,4-6"
    assert done.stderr.endswith("two-jobs-ended.yaml: 1 of 2 pods have ended: passed over\n")


def test_a_job_that_has_ended_is_not_compared(tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(f"koordnri-config: '{NOBODY_ALLOCATES}'\n")
    new.write_text("koordnri-config: '{}'\n")
    arguments = ["--policy", str(new), "--against", str(old), "-f", path("two-jobs-ended.yaml")]
    done = run(diff, *arguments, *files(node="node8.yaml"), "-o", "json")
    found = {(d["pod"], d["field"]): d["after"] for d in json.loads(done.stdout)["differences"] if d["container"]}
    assert found["job-b", "cpu.cpus"] == "0-2,4-6"
    assert {pod for pod, _ in found} == {"job-b"}


def test_a_file_of_pods_that_have_all_ended_explains_nothing(tmp_path: Path) -> None:
    ended = tmp_path / "ended.yaml"
    ended.write_text(Path(path("two-jobs-ended.yaml")).read_text().split("---")[0])
    assert explained(ended).pods == {}
