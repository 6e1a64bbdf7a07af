"""`koordnri top`: rows of two samples, for programs and on terminals of any width."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner
from rich.console import Console

from koordnri.cli import cli
from koordnri.cli.top_figures import Figures, added, between
from koordnri.cli.top_rows import Row, as_json, rows_of
from koordnri.cli.top_sample import Reading, Sample, files_of, read_sample
from koordnri.cli.top_table import COLUMNS, columns_for, table
from koordnri.host.usage.cpu import CPUTime
from koordnri.host.usage.io import IOBytes
from koordnri.host.usage.memory import MemoryUse
from koordnri.host.usage.pressure import Pressure
from koordnri.host.usage.usage import Usage
from koordnri.observe.control import ControlServer
from tests.host.usage.usage_tree import UsageTree
from tests.observe.driven import driven

MIB = 1 << 20
NO_PRESSURE = Pressure(None, None, None)


def reading(
    at_s: float,
    used_us: int | None = 0,
    throttled_us: int | None = None,
    memory: int | None = None,
    waiting: dict[int, int] | None = None,
    io: IOBytes | None = None,
    pressure: Pressure = NO_PRESSURE,
) -> Reading:
    return Reading(at_s, Usage(CPUTime(used_us, throttled_us), MemoryUse(memory, None, None), io, pressure, waiting))


def container(name: str, cgroup: str, given: int | None = None, cpus: str = "", requested: int | None = None) -> Any:
    return {
        "name": name,
        "id": cgroup,
        "cgroup": cgroup,
        "requestedMilli": requested,
        "givenMilli": given,
        "cpus": cpus,
        "exclusive": bool(cpus),
    }


def pod(name: str, *containers: Any, qos: str = "LS") -> Any:
    return {
        "namespace": "shop",
        "name": name,
        "uid": f"uid-{name}",
        "class": qos,
        "kubeQoS": "Burstable",
        "cgroup": name,
        "containers": list(containers),
    }


# -- figures ----------------------------------------------------------------------------------------------------------


def test_rates_are_per_second() -> None:
    before = reading(10.0, 1_000_000, 0, waiting={1: 0}, io=IOBytes(0, 100))
    after = reading(12.0, 2_000_000, 500_000, 7 * MIB, {1: 40_000_000}, IOBytes(4096, 300), Pressure(1.5, 0.0, None))
    assert between(before, after) == Figures(
        used_milli=500,
        throttled_ms_per_s=250,
        waiting_ms_per_s=20,
        cpu_pressure=1.5,
        memory_pressure=0.0,
        memory=7 * MIB,
        read_per_s=2048,
        written_per_s=100,
    )


def test_one_reading_shows_no_rates() -> None:
    figures = between(None, reading(1.0, 5, 5, MIB, {1: 1}, IOBytes(1, 1)))
    assert figures == Figures(memory=MIB)


def test_a_counter_that_starts_again_is_no_negative_use() -> None:
    assert between(reading(1.0, 100), reading(2.0, 10)).used_milli == 0


def test_a_sum_of_rows() -> None:
    rows = [
        Figures(used_milli=1, requested_milli=100, given_milli=500, cpu_pressure=2.0, memory=5),
        Figures(used_milli=2, given_milli=1000, cpu_pressure=9.0),
    ]
    assert added(rows) == Figures(used_milli=3, requested_milli=100, given_milli=1500, cpu_pressure=9.0, memory=5)
    assert added([*rows, Figures(used_milli=4)]).given_milli is None
    assert added([]) == Figures()


# -- rows -------------------------------------------------------------------------------------------------------------


def rows(pods: list[Any], before: dict[str, Reading], after: dict[str, Reading], key: str = "cpu") -> list[Row]:
    return rows_of(Sample("n", pods, before), Sample("n", pods, after), key)


def shown(classes: list[Row]) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    return [(c.name, [(p.name, [one.name for one in p.below]) for p in c.below]) for c in classes]


def cpu_of(classes: list[Row]) -> list[tuple[str, float | None]]:
    return [(row.name, row.figures.used_milli) for row in classes]


BUSY = [
    pod("idle", container("main", "i1")),
    pod("web", container("proxy", "w1"), container("main", "w2")),
    pod("job", container("main", "j1"), qos="BE"),
]
BEFORE = {name: reading(0.0) for name in ("idle", "i1", "web", "w1", "w2", "job", "j1")}
USED = {"idle": 1000, "i1": 500, "web": 9000, "w1": 1000, "w2": 7000, "job": 90_000, "j1": 90_000}
MEMORY = {"idle": 9 * MIB, "i1": 1, "web": 2 * MIB, "w1": 5, "w2": 3, "job": MIB, "j1": 1}
AFTER = {name: reading(1.0, us, memory=MEMORY[name]) for name, us in USED.items()}


def test_classes_pods_and_containers_are_sorted_by_cpu() -> None:
    classes = rows(BUSY, BEFORE, AFTER)
    assert shown(classes) == [
        ("BE", [("shop/job", ["main"])]),
        ("LS", [("shop/web", ["main", "proxy"]), ("shop/idle", ["main"])]),
    ]
    assert cpu_of(classes) == [("BE", 90), ("LS", 10)]
    # The pod's own cgroup has more in it than its containers.
    assert cpu_of(list(classes[1].below)) == [("shop/web", 9), ("shop/idle", 1)]


def test_or_by_memory() -> None:
    assert shown(rows(BUSY, BEFORE, AFTER, "memory")) == [
        ("LS", [("shop/idle", ["main"]), ("shop/web", ["proxy", "main"])]),
        ("BE", [("shop/job", ["main"])]),
    ]


def test_a_cgroup_that_has_vanished_loses_its_row_only() -> None:
    after = {name: one for name, one in AFTER.items() if name not in ("w1", "job")}
    assert shown(rows(BUSY, BEFORE, after)) == [("LS", [("shop/web", ["main"]), ("shop/idle", ["main"])])]


def test_a_new_container_has_a_row_without_rates() -> None:
    before = {name: one for name, one in BEFORE.items() if name != "w1"}
    (_, ls) = rows(BUSY, before, AFTER)
    (web, _) = ls.below
    assert [(one.name, one.figures.used_milli, one.figures.memory) for one in web.below] == [
        ("main", 7, 3),
        ("proxy", None, 5),
    ]


@pytest.mark.parametrize(
    ("containers", "given"),
    [
        ([container("a", "1", 500), container("b", "2", 250)], 750),
        ([container("a", "1", 500), container("b", "2")], None),
        ([container("a", "1", 2000, "0-1"), container("b", "2", 250)], 2250),
        # A scheduler assigns CPUs to the whole pod.
        ([container("a", "1", 2000, "0-1"), container("b", "2", 2000, "0-1")], 2000),
    ],
)
def test_what_a_pod_was_given(containers: list[Any], given: int | None) -> None:
    (ls,) = rows([pod("web", *containers)], {}, {"web": reading(0.0)})
    assert ls.below[0].figures.given_milli == given


def test_requests_waiting_and_throttling_of_a_pod_are_those_of_its_containers() -> None:
    pods = [pod("web", container("a", "1", 500, requested=100), container("b", "2", 500, requested=200))]
    before = {
        "web": reading(0.0, 0, 0),
        "1": reading(0.0, 0, 0, waiting={1: 0}),
        "2": reading(0.0, 0, 0, waiting={2: 0}),
    }
    after = {
        "web": reading(1.0, 0, 1000),
        "1": reading(1.0, 0, 2000, waiting={1: 3_000_000}),
        "2": reading(1.0, 0, 4000, waiting={2: 5_000_000}),
    }
    (ls,) = rows(pods, before, after)
    figures = ls.below[0].figures
    assert (figures.requested_milli, figures.throttled_ms_per_s, figures.waiting_ms_per_s) == (300, 6, 8)


def test_the_shape_for_programs() -> None:
    pods = [pod("web", container("main", "w1", 2000, "0-1", 1500))]
    classes = rows(pods, {"w1": reading(0.0)}, {"web": reading(1.0), "w1": reading(1.0, 1_000_000, memory=MIB)})
    shape = as_json(Sample("n", pods, {}), classes)
    assert (shape["node"], [c["class"] for c in shape["classes"]]) == ("n", ["LS"])
    (one,) = shape["classes"][0]["pods"]
    assert (one["namespace"], one["name"], one["kubeQoS"]) == ("shop", "web", "Burstable")
    assert one["containers"] == [
        {
            "name": "main",
            "id": "w1",
            "cpus": "0-1",
            "exclusive": True,
            "cpu": {
                "usedMilli": 1000.0,
                "requestedMilli": 1500,
                "givenMilli": 2000,
                "throttledMsPerS": None,
                "waitingMsPerS": None,
            },
            "pressurePercent": {"cpu": None, "memory": None, "io": None},
            "memory": {"usedBytes": MIB, "minBytes": None, "highBytes": None},
            "io": {"readBytesPerS": None, "writtenBytesPerS": None},
        }
    ]


# -- samples ----------------------------------------------------------------------------------------------------------


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


# -- the table --------------------------------------------------------------------------------------------------------


def lines(classes: list[Row], width: int, height: int | None = None) -> list[str]:
    out = Console(width=width, color_system=None)
    with out.capture() as captured:
        out.print(table("n", classes, width, height))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_the_table_at_120_columns_has_everything() -> None:
    pods = [pod("web-with-a-rather-long-name-7f9c-abcde", container("main", "w1", 2000, "0-1", 1500))]
    before = {"web-with-a-rather-long-name-7f9c-abcde": reading(0.0), "w1": reading(0.0, 0, 0, waiting={1: 0})}
    used = reading(1.0, 1_234_000, 5000, 1536 * MIB, {1: 12_000_000}, IOBytes(0, 0), Pressure(12.5, 0.0, 3.0))
    found = lines(rows(pods, before, dict.fromkeys(before, used)), 120)
    assert found[0].split() == ["n", *" ".join(column.title for column in COLUMNS).split()]
    assert found[1].split()[:5] == ["LS", "(1", "pod)", "1234m", "1500m"]
    assert found[3].split() == [
        "main",
        "[0-1]",
        "1234m",
        "1500m",
        "2000m",
        "5",
        "12",
        "12/0/3",
        "1.5Gi",
        "-",
        "-",
        "-",
        "-",
    ]
    assert max(map(len, found)) <= 120


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_line_is_too_long_and_what_is_left_out_is_named(width: int) -> None:
    columns = columns_for(width)
    found = lines(rows(BUSY, BEFORE, AFTER), width)
    assert max(map(len, found)) <= width
    assert any("shop/web" in line for line in found)
    hidden = [column.title for column in COLUMNS if column not in columns]
    assert ("a wider terminal has" in found[-1]) is bool(hidden)
    assert {"cpu", "memory"} <= {column.title for column in columns}


def test_rows_beyond_the_terminal_are_counted() -> None:
    found = lines(rows(BUSY, BEFORE, AFTER), 120, 8)
    assert len(found) <= 8
    assert "5 more rows: --once has all" in found[-1]


def test_a_node_without_containers_says_so() -> None:
    assert lines([], 80)[-1] == "no containers run"


@pytest.mark.parametrize(
    ("used", "text"),
    [(0, "0"), (1023, "1023"), (1024, "1.0Ki"), (10 * MIB, "10Mi"), (1023 * MIB, "1023Mi"), (5 << 40, "5.0Ti")],
)
def test_bytes_are_short(used: int, text: str) -> None:
    (memory,) = (column for column in COLUMNS if column.title == "memory")
    assert memory.text(Figures(memory=used)) == text


# -- the command ------------------------------------------------------------------------------------------------------


def test_json_prints_once(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["top", "-o", "json", "--state-dir", str(tmp_path)])
    assert done.exit_code == 2
    assert "-o json prints once: expected --once, too" in done.stderr


def test_only_a_terminal_is_followed(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["top", "--state-dir", str(tmp_path)])
    assert done.exit_code == 2
    assert "standard output is no terminal: expected --once" in done.stderr


def test_a_daemon_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["top", "--once", "--state-dir", str(tmp_path)])
    assert done.exit_code == 2
    assert f"{tmp_path}/koordnri.sock: there is no such socket" in done.stderr


def test_it_follows_until_it_is_interrupted(tmp_path: Path) -> None:
    answer = {"node": "n", "cgroupVersion": 2, "hostRoot": str(tmp_path), "pods": []}
    server = ControlServer(tmp_path, cast("Any", None), {"containers": lambda parameters: answer})
    terminal, its_end = pty.openpty()
    command = [sys.executable, "-c", "from koordnri.cli import main; main()", "top", "--state-dir", str(tmp_path)]
    running = subprocess.Popen(command, stdin=its_end, stdout=its_end, stderr=its_end)
    os.close(its_end)
    try:
        shown = b""
        while shown.count(b"no containers run") < 2:
            shown += os.read(terminal, 4096)
        running.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # the other end is closed
            while os.read(terminal, 4096):
                pass
        assert running.wait() == 0
    finally:
        running.kill()
        running.wait()
        os.close(terminal)
        server.close()


def test_the_running_daemon_answers(tmp_path: Path) -> None:
    with driven(tmp_path) as it:
        it.run_pod("p")
        it.create("p")
        command = ["top", "--once", "--state-dir", str(tmp_path / "state")]
        as_table = CliRunner().invoke(cli, command)
        as_shape = CliRunner().invoke(cli, [*command, "-o", "json"])
    assert (as_table.exit_code, as_shape.exit_code) == (0, 0), as_table.output + as_shape.output
    # The embedded runtime's containers have no cgroups.
    assert "no containers run" in as_table.stdout
    assert json.loads(as_shape.stdout) == {"node": "n", "classes": []}
