"""CPU model and turbo, on trees that stand for a host's /proc and /sys."""

from __future__ import annotations

from pathlib import Path

import pytest

from koordnri.host.cpu_model import read_cpu_model, read_turbo
from koordnri.host.files import HostFiles

CPUINFO = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Platinum 8369B CPU @ 2.70GHz\n"


def write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_the_model_is_the_first_cpus_name(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", CPUINFO + CPUINFO.replace("8369B", "other"))
    assert read_cpu_model(HostFiles(tmp_path)) == "Intel(R) Xeon(R) Platinum 8369B CPU @ 2.70GHz"


def test_a_host_without_a_model_name_has_none(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", "processor : 0\nCPU implementer : 0x41\n")
    assert read_cpu_model(HostFiles(tmp_path)) == ""


@pytest.mark.parametrize(
    ("files", "on"),
    [
        ({}, False),
        ({"intel_pstate/no_turbo": "0\n"}, True),
        ({"intel_pstate/no_turbo": "1\n"}, False),
        ({"cpufreq/boost": "1\n"}, True),
        ({"cpufreq/boost": "0\n"}, False),
        ({"cpufreq/boost": "nonsense"}, False),
    ],
)
def test_turbo(tmp_path: Path, files: dict[str, str], on: bool) -> None:
    for path, text in files.items():
        write(tmp_path, f"sys/devices/system/cpu/{path}", text)
    assert read_turbo(HostFiles(tmp_path)) is on
