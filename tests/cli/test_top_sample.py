"""Samples: what is read of the cgroups that the daemon names."""

from __future__ import annotations

from pathlib import Path

import pytest

from koordnri.cli.top_sample import files_of, read_sample
from tests.cli.top_readings import MIB, container, pod
from tests.host.usage.usage_tree import UsageTree


@pytest.mark.parametrize("version", [1, 2])
def test_a_sample_reads_the_cgroups_that_the_daemon_names(tmp_path: Path, version: int) -> None:
    UsageTree(tmp_path, version)
    named = {**pod("web", container("main", "kubepods/pod1/c1"), container("gone", "kubepods/pod1/c2"))}
    answer = {
        "node": "n",
        "cgroupVersion": version,
        "hostRoot": str(tmp_path),
        "pods": [{**named, "cgroup": "kubepods/pod1"}],
    }
    sample = read_sample(answer, files_of(answer))
    assert sorted(sample.readings) == ["kubepods/pod1", "kubepods/pod1/c1"]
    assert sample.readings["kubepods/pod1/c1"].usage.memory.used == 8 * MIB
    # A thread is read once, with its container.
    assert [one.usage.waiting is None for _, one in sorted(sample.readings.items())] == [True, False]


def test_a_host_root_that_only_the_daemon_has_is_the_root(tmp_path: Path) -> None:
    answer = {"hostRoot": str(tmp_path / "host"), "cgroupVersion": 2}
    assert files_of(answer).of_thread("self", "comm") is not None
