"""Which lines of the history come of what happened."""

from __future__ import annotations

from koordnri.model import Decision, Event, Resources
from koordnri.state.causes import FieldPlace, PassDone, Written
from koordnri.state.history import History
from koordnri.state.history_line import HistoryLine
from koordnri.state.history_maker import BIRTH_S, FileRefusal
from tests.state.recorded import ASKED, NEXT, POD, SNAPSHOT, container, decision, done, seen, written


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
    place = FieldPlace(None, "Burstable", "", "cpu.shares")
    history.passed(PassDone("change", SNAPSHOT, NEXT, [Written("class:Burstable", place, 2, 512, False)], {}))
    assert [(c.kube_class, c.pod, c.cause) for c in history.last(1)] == [("Burstable", "", "policy")]


def test_a_refused_value_is_named_with_its_error_and_the_cgroup_as_a_whole_is_not(history: History) -> None:
    history.refused(FileRefusal(FieldPlace(POD, "", "main", "memory.high"), 5, "EBUSY"))
    history.refused(FileRefusal(FieldPlace(POD, "", "", "cgroup"), "", "no cgroup"))
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
