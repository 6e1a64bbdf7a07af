"""One look at all containers: what the daemon says about them, and what their cgroups use."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from koordnri.cli.control import question
from koordnri.host.usage.files import UsageFiles
from koordnri.host.usage.usage import Usage, read_usage


class UsageReading(NamedTuple):
    """One cgroup at one moment, in s of the monotonic clock."""

    at_s: float
    usage: Usage


class UsageSample(NamedTuple):
    """All cgroups, one after the other."""

    node: str
    pods: list[Mapping[str, Any]]
    """as in koordnri.answers.containers"""
    readings: Mapping[str, UsageReading]
    """cgroup → its reading; without cgroups that have vanished"""


def take_sample(state_dir: Path) -> UsageSample:
    """Ask the daemon, then read the cgroups. Raises ControlError."""
    answer = question(state_dir, "containers")
    return read_sample(answer, files_of(answer))


def files_of(answer: Mapping[str, Any]) -> UsageFiles:
    """The host's files. The daemon in its container sees them elsewhere than a shell on the host does."""
    there = Path(answer["hostRoot"])
    return UsageFiles(there if (there / "sys/fs/cgroup").is_dir() else Path("/"), answer["cgroupVersion"])


def read_sample(answer: Mapping[str, Any], files: UsageFiles) -> UsageSample:
    """Read every cgroup of an answer. The threads of a pod are those of its containers, and are read there."""
    readings = {}
    for pod in answer["pods"]:
        cgroups = [(pod["cgroup"], False), *((container["cgroup"], True) for container in pod["containers"])]
        for cgroup, threads in cgroups:
            usage = read_usage(files, cgroup, threads=threads)
            if usage is not None:
                readings[cgroup] = UsageReading(time.monotonic(), usage)
    return UsageSample(answer["node"], answer["pods"], readings)
