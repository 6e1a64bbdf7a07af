"""What the whole machine uses."""

from __future__ import annotations

import pytest

from koordnri.host.usage.files import UsageFiles
from koordnri.host.usage.machine import MachineFiles


@pytest.fixture
def proc(tmp_path):
    (tmp_path / "proc" / "pressure").mkdir(parents=True)
    return tmp_path / "proc"


def test_busy_is_all_but_idle_iowait_and_steal(proc):
    (proc / "stat").write_text("cpu  100 20 30 400 50 6 7 80 9 9\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    assert MachineFiles(UsageFiles(proc.parent, 2)).times() == (1.63, 0.8)


@pytest.mark.parametrize("text", ["", "cpu  1 2\n", "cpu  a b c d e f g h\n"])
def test_what_cannot_be_read_is_unknown(proc, text):
    (proc / "stat").write_text(text)
    machine = MachineFiles(UsageFiles(proc.parent, 2))
    assert machine.times() == (None, None)
    assert machine.memory() == (0, None)
    assert machine.pressure("memory") is None


def test_used_memory_is_what_is_not_available(proc):
    (proc / "meminfo").write_text("MemTotal:  1000 kB\nMemFree:  1 kB\nMemAvailable:  400 kB\n")
    (proc / "pressure" / "memory").write_text("some avg10=12.00 avg60=0.00 avg300=0.00 total=1\n")
    machine = MachineFiles(UsageFiles(proc.parent, 2))
    assert machine.memory() == (1000 * 1024, 600 * 1024)
    assert machine.pressure("memory") == 12.0
    machine.close()


def test_memory_that_is_set_aside_as_huge_pages_is_none_that_anybody_could_release(proc):
    (proc / "meminfo").write_text(
        "MemTotal:  1000 kB\nMemAvailable:  200 kB\nHugePages_Total:  2\nHugepagesize:  2048 kB\nHugetlb:  600 kB\n"
    )
    machine = MachineFiles(UsageFiles(proc.parent, 2))
    assert machine.memory() == (400 * 1024, 200 * 1024)
    machine.close()
