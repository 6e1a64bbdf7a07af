"""The history: what happened becomes lines, bounded in memory and on disk, and is found again."""

from __future__ import annotations

import gc
import tracemalloc
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import CapturingLogger

from koordnri.chain import Snapshot
from koordnri.model import Container, Decision, Event, NodeState, Pod, Resources, Setting, fields
from koordnri.policy import DEFAULT_POLICY
from koordnri.state.causes import PassDone, Place, Written
from koordnri.state.history import MOST_CHANGES, MOST_WAITING, History
from koordnri.state.history_files import NAME, HistoryFiles
from koordnri.state.history_line import HistoryLine
from koordnri.state.history_maker import BIRTH_S, Refusal

POD = Pod("p1", "uid-1", "shop", "web")
ASKED = Resources(cpu_shares=512, cpu_quota=50_000, cpu_period=100_000)
SNAPSHOT = Snapshot(msgspec.structs.replace(DEFAULT_POLICY, revision="r1"), NodeState(name="n"))
NEXT = Snapshot(msgspec.structs.replace(DEFAULT_POLICY, revision="r2"), NodeState(name="n"))


def decision(route: str = "adjust", **values: Any) -> Decision:
    """Field, with _ for its dot → value."""
    settings = {}
    for name, value in values.items():
        field = next(f for f in fields.ALL if f.name == name.replace("_", ".", 1))
        settings[field.name] = Setting(field, "", value, "a_hook", "as an example", route)
    return Decision(settings)


def container(stored: Resources | None = None, name: str = "main") -> Container:
    return Container(f"id-{name}", name, POD.id, ASKED, stored)


def written(name: str, before: Any, after: Any, place: str = "main", **more: Any) -> Written:
    owner = f"id-{place}" if place else POD.id
    return Written(owner, Place(POD, "", place, name), before, after, more.pop("restores", False), **more)


def done(*files: Written, trigger: str = "change", was: Snapshot | None = SNAPSHOT, now: Snapshot = NEXT) -> PassDone:
    return PassDone(trigger, was, now, files, {(POD.id, "main"): decision("reply", cpu_quota=-1)})


def seen(history: History) -> list[tuple[Any, ...]]:
    return [(c.container, c.field, c.old, c.new, c.cause, c.detail) for c in history.of_pod("shop", "web")]


@pytest.fixture
def history() -> History:
    clock = count(1000)
    return History(SNAPSHOT, clock=lambda: float(next(clock)))


def on_disk(directory: Path, most_bytes: int = 4 << 20) -> History:
    """As a daemon that is admitted has it."""
    history = History(SNAPSHOT, HistoryFiles(directory, CapturingLogger(), most_bytes))
    history.load()
    return history


# -- what becomes a change --------------------------------------------------------------------------------------------


def test_a_creation_shows_what_differs_from_what_kubelet_asked_for(history: History) -> None:
    history.decided(POD, container(), Event.CREATE, decision(cpu_quota=-1, cpu_shares=512))
    assert list(history.of_pod("shop", "web")) == [
        HistoryLine(
            n=1,
            time_s=1000.0,
            namespace="shop",
            pod="web",
            container="main",
            field="cpu.quota",
            cause="creation",
            old=50_000,
            new=-1,
            hook="a_hook",
            reason="as an example",
            revision="r1",
        )
    ]


def test_a_value_that_goes_into_a_file_counts_when_it_is_written(history: History) -> None:
    history.decided(POD, container(), Event.CREATE, decision("write", memory_high=5))
    assert seen(history) == []
    history.passed(done(written("memory.high", -1, 5), trigger="pod", now=SNAPSHOT))
    assert seen(history) == [("main", "memory.high", -1, 5, "creation", "")]


def test_a_first_value_by_a_policy_that_came_after_the_creation_is_the_policys(history: History) -> None:
    history.decided(POD, container(), Event.CREATE, Decision())
    history.passed(done(written("memory.high", -1, 5), trigger="pod", was=NEXT))
    history.passed(done(written("memory.high", 5, 6), trigger="pod", was=NEXT))
    assert seen(history) == [
        ("main", "memory.high", -1, 5, "policy", "r1 → r2"),
        ("main", "memory.high", 5, 6, "pod", ""),
    ]


def test_a_first_value_long_after_the_creation_has_another_cause() -> None:
    times = iter([0.0, BIRTH_S + 1.0])
    history = History(SNAPSHOT, clock=lambda: next(times))
    history.decided(POD, container(), Event.CREATE, Decision())
    history.passed(done(written("memory.high", -1, 5)))
    assert seen(history) == [("main", "memory.high", -1, 5, "policy", "r1 → r2")]


def test_a_resize_shows_what_the_runtime_had_stored(history: History) -> None:
    stored = Resources(cpu_shares=512, cpu_quota=25_000)
    history.decided(POD, container(stored), Event.UPDATE, decision("reply", cpu_quota=30_000, cpu_shares=512))
    assert seen(history) == [("main", "cpu.quota", 25_000, 30_000, "resize", "")]


def test_a_start_shows_what_ran_with_other_values(history: History) -> None:
    history.decided(POD, container(ASKED), Event.SYNC, decision("reply", cpu_quota=-1, cpu_shares=512))
    assert seen(history) == [("main", "cpu.quota", 50_000, -1, "start", "")]


def test_a_value_that_was_sent_and_then_written_counts_once(history: History) -> None:
    history.decided(POD, container(ASKED), Event.UPDATE, decision("reply", cpu_quota=-1))
    history.passed(done(written("cpu.quota", 50_000, -1)))
    assert seen(history) == [("main", "cpu.quota", 50_000, -1, "resize", "")]
    history.passed(done(written("cpu.quota", 7, -1, drift="unknown", times=1)))
    assert seen(history)[1:] == [("main", "cpu.quota", 7, -1, "drift", "overwritten by unknown")]


def test_what_the_oci_runtime_made_of_a_value_at_the_creation_counts(history: History) -> None:
    history.decided(POD, container(), Event.CREATE, decision(cpu_quota=-1))
    history.passed(done(written("cpu.quota", 1000, -1), trigger="pod", now=SNAPSHOT))
    assert seen(history)[1:] == [("main", "cpu.quota", 1000, -1, "creation", "")]


def test_a_written_file_has_the_hooks_reason_and_one_given_back_says_so(history: History) -> None:
    history.passed(done(written("cpu.quota", 50_000, -1), written("memory.high", 5, -1, restores=True)))
    assert [(c.hook, c.reason, c.revision) for c in history.last(2)] == [
        ("a_hook", "as an example", "r2"),
        ("", "given back: nothing decides it any more", "r2"),
    ]


def test_a_cgroup_above_the_pods_has_its_name(history: History) -> None:
    place = Place(None, "Burstable", "", "cpu.shares")
    history.passed(PassDone("change", SNAPSHOT, NEXT, [Written("class:Burstable", place, 2, 512, False)], {}))
    assert [(c.kube_class, c.pod, c.cause) for c in history.last(1)] == [("Burstable", "", "policy")]


def test_a_refused_value_is_named_with_its_error_and_the_cgroup_as_a_whole_is_not(history: History) -> None:
    history.refused(Refusal(Place(POD, "", "main", "memory.high"), 5, "EBUSY"))
    history.refused(Refusal(Place(POD, "", "", "cgroup"), "", "no cgroup"))
    assert seen(history) == [("main", "memory.high", None, 5, "refused", "EBUSY")]


def test_decisions_belong_to_the_snapshot_of_their_time(history: History) -> None:
    history.decided(POD, container(), Event.CREATE, decision(cpu_quota=1))
    history.follow(NEXT)
    history.decided(POD, container(), Event.CREATE, decision(cpu_quota=2))
    assert [c.revision for c in history.last(9)] == ["r1", "r2"]


def test_a_resize_starts_from_the_last_value_not_from_what_the_runtime_has_stored(history: History) -> None:
    history.passed(done(written("cpu.quota", 50_000, 25_000)))
    history.decided(POD, container(ASKED), Event.UPDATE, decision("reply", cpu_quota=50_000))
    assert seen(history)[1:] == [("main", "cpu.quota", 25_000, 50_000, "resize", "")]


def test_threads_that_belong_into_another_group_are_a_change_of_the_container(history: History) -> None:
    for group in ("", "LS", "LS", ""):
        done = PassDone("change", SNAPSHOT, NEXT, [], {}, [("id-main", POD, "main", group)])
        history.passed(done)
    assert seen(history) == [
        ("main", "rdt.closid", "", "LS", "policy", "r1 → r2"),
        ("main", "rdt.closid", "LS", "", "policy", "r1 → r2"),
    ]


# -- bounds -----------------------------------------------------------------------------------------------------------


def test_only_so_many_events_wait_and_the_lost_ones_are_counted(history: History) -> None:
    for number in range(MOST_WAITING + 3):
        history.decided(POD, container(), Event.CREATE, decision(cpu_quota=number + 1))
    assert history.lost == 3
    assert history.last(1)[0].new == MOST_WAITING + 3


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
