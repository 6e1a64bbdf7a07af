"""One cgroup's counters become rates."""

from __future__ import annotations

from pathlib import Path

import pytest

from koordnri.control.evictor import MEMORY_COOL_S, PRESSURE_HELD_S
from koordnri.control.gauge import SLOW_TICKS, Gauge, Needs
from koordnri.control.loop import TICK_S
from koordnri.control.memory_high import STEP_S
from koordnri.control.signals import Load
from koordnri.host.usage.files import UsageFiles

ALL = Needs(cpu=True, throttling=True, memory=True, pressure=True, io=True)
PRESSURE = "some avg10=2.50 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00\n"


def open_(root: Path, needs: Needs, version: int = 2, turn: int = 1) -> Gauge:
    return Gauge(UsageFiles(root, version), "a.scope", needs, lambda: True, container=True, turn=turn)


def put(root: Path, files: dict[str, str], below: str = "a.scope") -> None:
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("@", below)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def cpu(used: int, periods: int = 0, throttled: int = 0, time: int = 0) -> str:
    return f"usage_usec {used}\nuser_usec 0\nnr_periods {periods}\nnr_throttled {throttled}\nthrottled_usec {time}\n"


def test_no_controller_decides_twice_by_the_same_reading():
    oldest_s = SLOW_TICKS * TICK_S
    assert oldest_s < STEP_S, "the staircase judges a step by a reading after it"
    assert oldest_s <= MEMORY_COOL_S
    assert oldest_s < PRESSURE_HELD_S


def test_rates_are_averages_since_the_tick_before(tmp_path):
    put(tmp_path, {"@/cpu.stat": cpu(1_000_000, 10, 2, 100_000)})
    gauge = open_(tmp_path, Needs(cpu=True, throttling=True))
    assert gauge.load(10.0) == Load(), "the first reading has nothing to compare with"
    put(tmp_path, {"@/cpu.stat": cpu(4_000_000, 30, 7, 1_100_000)})
    load = gauge.load(12.0)
    assert (load.used_cores, load.throttled_ratio, load.throttled_s) == (1.5, 0.25, 0.5)


def test_on_v1_the_files_have_other_names_and_units(tmp_path):
    stat = "nr_periods {}\nnr_throttled {}\nthrottled_time {}\n"
    put(tmp_path, {"cpuacct/@/cpuacct.usage": "1000000000\n", "cpu/@/cpu.stat": stat.format(0, 0, 0)})
    gauge = open_(tmp_path, ALL, version=1)
    gauge.load(0.0)
    put(tmp_path, {"cpuacct/@/cpuacct.usage": "3000000000\n", "cpu/@/cpu.stat": stat.format(4, 1, 500_000_000)})
    load = gauge.load(1.0)
    assert (load.used_cores, load.throttled_ratio, load.throttled_s) == (2.0, 0.25, 0.5)


def test_a_container_of_crun_is_throttled_on_its_inner_level(tmp_path):
    put(tmp_path, {"@/cpu.stat": cpu(0), "@/container/cpu.stat": cpu(0, 10, 0)})
    gauge = open_(tmp_path, Needs(cpu=True, throttling=True))
    gauge.load(0.0)
    put(tmp_path, {"@/cpu.stat": cpu(0), "@/container/cpu.stat": cpu(0, 20, 5)})
    assert gauge.load(1.0).throttled_ratio == 0.5


def test_a_counter_that_began_again_gives_no_rate(tmp_path):
    put(tmp_path, {"@/cpu.stat": cpu(5_000_000)})
    gauge = open_(tmp_path, Needs(cpu=True))
    gauge.load(0.0)
    put(tmp_path, {"@/cpu.stat": cpu(1_000)})
    assert gauge.load(1.0).used_cores is None
    put(tmp_path, {"@/cpu.stat": cpu(1_001_000)})
    assert gauge.load(2.0).used_cores == 1.0


def test_slow_figures_are_read_in_turn_and_stay_in_between(tmp_path):
    put(tmp_path, slow(memory=5000, high=0, read=0))
    gauge = open_(tmp_path, ALL, turn=1)
    first = gauge.load(0.0)
    assert (first.memory_bytes, first.memory_pressure, first.memory_high_events) == (4000, 2.5, None)
    put(tmp_path, slow(memory=9000, high=8, read=400))
    loads = [gauge.load(float(second)) for second in range(1, SLOW_TICKS + 2)]
    assert {load.memory_bytes for load in loads} == {8000}
    assert (loads[0].memory_high_events, loads[0].read_bytes_s, loads[0].refaults) == (8.0, 400.0, 0.0)
    assert loads[-1].memory_high_events == 0.0, "over the time since it was last read"
    put(tmp_path, slow(memory=1000, high=8, read=400))
    again = [gauge.load(10.0 + second).memory_bytes for second in range(SLOW_TICKS)]
    assert again == [8000] * (SLOW_TICKS - 1) + [0]


def slow(memory: int, high: int, read: int) -> dict[str, str]:
    stat = "anon 1\ninactive_file 1000\nworkingset_refault_anon 9\nworkingset_refault_file 3\n"
    pressures = {f"@/{name}.pressure": PRESSURE for name in ("cpu", "memory", "io")}
    return pressures | {
        "@/memory.current": f"{memory}\n",
        "@/memory.stat": stat,
        "@/memory.events": f"low 0\nhigh {high}\nmax 0\n",
        "@/io.stat": f"8:0 rbytes={read} wbytes=0\n",
        "@/cpu.stat": cpu(0),
    }


@pytest.mark.parametrize("version", [1, 2])
def test_of_a_cgroup_that_is_gone_nothing_is_known(tmp_path, version):
    gauge = open_(tmp_path, ALL, version)
    assert gauge.load(0.0) == gauge.load(1.0) == Load()
    gauge.close()
