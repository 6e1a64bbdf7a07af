"""The history: what happened becomes lines, bounded in memory and on disk, and is found again."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

from structlog.testing import CapturingLogger

from koordnri.model import Container, Event, Pod
from koordnri.state.history import MOST_CHANGES, MOST_WAITING, History
from koordnri.state.history_files import NAME, HistoryFiles
from tests.state.recorded import ASKED, POD, SNAPSHOT, container, decision, done, seen, written


def on_disk(directory: Path, most_bytes: int = 4 << 20) -> History:
    """As a daemon that is admitted has it."""
    history = History(SNAPSHOT, HistoryFiles(directory, CapturingLogger(), most_bytes))
    history.load()
    return history


# -- what becomes a change --------------------------------------------------------------------------------------------


# -- bounds -----------------------------------------------------------------------------------------------------------


def test_only_so_many_events_wait_and_the_lost_ones_are_counted(history: History) -> None:
    for number in range(MOST_WAITING + 3):
        history.decided(POD, container(), Event.CREATE, decision(cpu_quota=number + 1))
    assert history.lost == 3
    assert history.last(1)[0].new == MOST_WAITING + 3


def test_lines_may_be_put_off_until_the_queue_is_nearly_full(history: History) -> None:
    def decide(times: int) -> None:
        for _ in range(times):
            history.decided(POD, container(), Event.CREATE, decision(cpu_quota=1))

    decide(MOST_WAITING // 2)
    assert not history.must_settle
    decide(MOST_WAITING // 3)
    assert history.must_settle
    history.settle()
    assert not history.must_settle
    assert not history.lost


def test_a_long_text_of_a_pod_is_cut(history: History) -> None:
    pod = Pod("p", "u", "shop", "x" * 10_000, annotations={})
    history.decided(pod, container(name="y" * 10_000), Event.CREATE, decision(cpu_cpus="1," * 10_000))
    (change,) = history.of_pod("shop", "x" * 10_000)
    assert all(len(text) == 301 for text in (change.pod, change.container, change.new))


def test_memory_is_flat_over_a_hundred_thousand_decisions_of_as_many_pods(tmp_path: Path) -> None:
    history = on_disk(tmp_path, most_bytes=1 << 20)

    def decide(first: int, last: int) -> int:
        for number in range(first, last):
            pod = Pod(f"p{number}", f"uid-{number}", "shop", f"web-{number}")
            it = Container(f"c{number}", "main", pod.id, ASKED)
            history.decided(pod, it, Event.CREATE, decision(cpu_quota=number + 1))
            if number % 1000 == 999:
                history.flush()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    decide(0, 80_000)
    tracemalloc.start()
    try:
        before, after = decide(80_000, 90_000), decide(90_000, 100_000)
    finally:
        tracemalloc.stop()
    assert history.lost == 0
    assert history.last(1)[0].new == 100_000
    assert after < before + 50_000
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2 << 20


# -- on disk ----------------------------------------------------------------------------------------------------------


def test_a_restart_continues_the_history(tmp_path: Path) -> None:
    first = on_disk(tmp_path)
    first.decided(POD, container(), Event.CREATE, decision(cpu_quota=1))
    first.flush()
    second = on_disk(tmp_path)
    second.decided(POD, container(), Event.CREATE, decision(cpu_quota=2))
    assert [(c.n, c.new) for c in second.last(10)] == [(1, 1), (2, 2)]
    second.flush()
    assert [(c.n, c.new) for c in on_disk(tmp_path).of_pod("shop", "web")] == [(1, 1), (2, 2)]


def test_a_restart_repeats_no_value_that_was_in_effect_before(tmp_path: Path) -> None:
    """The runtime's stored spec may lag behind the files."""
    first = on_disk(tmp_path)
    first.passed(done(written("cpu.quota", 50_000, 25_000)))
    first.flush()
    second = on_disk(tmp_path)
    second.decided(POD, container(ASKED), Event.SYNC, decision("reply", cpu_quota=25_000))
    assert len(seen(second)) == 1
    third = on_disk(tmp_path)
    third.decided(POD, container(ASKED), Event.SYNC, decision("reply", cpu_quota=30_000))
    assert seen(third)[1:] == [("main", "cpu.quota", 25_000, 30_000, "start", "")]


def test_the_disk_has_what_memory_has_no_more(tmp_path: Path) -> None:
    history = on_disk(tmp_path)
    many = MOST_CHANGES + 1000
    for number in range(many):
        history.decided(POD, container(), Event.CREATE, decision(cpu_quota=number + 1))
        if number % 1000 == 0:
            history.flush()
    assert [c.n for c in history.of_pod("shop", "web")] == list(range(1, many + 1))
    assert len(history.last(many)) == MOST_CHANGES
    assert history.since_s() == next(history.of_pod("shop", "web")).time_s


def test_changes_that_are_not_flushed_yet_are_found(tmp_path: Path) -> None:
    history = on_disk(tmp_path)
    history.decided(POD, container(), Event.CREATE, decision(cpu_quota=1))
    assert len(seen(history)) == 1
    assert not (tmp_path / NAME).exists()


def test_a_directory_that_cannot_be_written_leaves_the_history_in_memory(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    history = on_disk(tmp_path)
    for quota in (1, 2):
        history.decided(POD, container(), Event.CREATE, decision(cpu_quota=quota))
        history.flush()
    assert "Is a directory" in history.problem
    assert [change[3] for change in seen(history)] == [1, 2]
    (tmp_path / NAME).rmdir()
    history.decided(POD, container(), Event.CREATE, decision(cpu_quota=3))
    history.flush()
    assert history.problem == ""
    assert [change[3] for change in seen(history)] == [1, 2, 3]


def test_lines_of_others_are_passed_over(tmp_path: Path) -> None:
    history = on_disk(tmp_path)
    history.decided(POD, container(), Event.CREATE, decision(cpu_quota=1))
    history.flush()
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'\n\xff\n[[[\n{"pod":"web","n":"x"}\n{"n":7,"pod":"we')
    again = on_disk(tmp_path)
    again.decided(POD, container(), Event.CREATE, decision(cpu_quota=2))
    again.flush()
    assert [(c.n, c.new) for c in on_disk(tmp_path).of_pod("shop", "web")] == [(1, 1), (2, 2)]


def test_without_files_nothing_is_written_and_nothing_is_there_yet(history: History) -> None:
    assert history.since_s() is None
    assert history.last(10) == []
    history.flush()
    history.load()
    assert history.problem == ""
