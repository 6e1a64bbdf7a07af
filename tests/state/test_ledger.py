"""The ledger: what is remembered, what is forgotten with what, and when the state directory must hear of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.model import Decision, Pod, Resources, Setting, fields
from koordnri.model.resources import NOTHING, Note
from koordnri.model.routes import ADJUST
from koordnri.state.entry import Entry
from koordnri.state.ledger import Ledger
from tests.support.pods import pod

SMALL, BIG = Resources(cpu_quota=50_000), Resources(cpu_quota=80_000)


def decision(**quota: int) -> Decision:
    return Decision({n: Setting(fields.CPU_QUOTA, "", value, "hook", "because", ADJUST) for n, value in quota.items()})


class Book:
    """A ledger, and how often it asked to be saved."""

    def __init__(self, notes: dict[str, Note] | None = None) -> None:
        self.saves = 0
        self.ledger = Ledger(notes, self._save)

    def _save(self) -> None:
        # The daemon takes a copy under the ledger's lock: a caller that still held it would never come back.
        self.saved = self.ledger.notes()
        self.saves += 1

    def remember(
        self, container_id: str, baseline: Resources = NOTHING, noted: bool = False, pod_id: str = "p"
    ) -> None:
        note = Note(baseline) if noted else None
        self.ledger.remember(Entry(container_id, "main", pod_id, baseline), decision(), note)


def test_what_was_decided_is_remembered_with_its_route():
    ledger = Ledger()
    ledger.remember(Entry("c", "main", "p", SMALL), decision(quota=-1))
    entry = ledger.container("c")
    assert entry is not None
    assert (entry.name, entry.pod_id, entry.baseline) == ("main", "p", SMALL)
    assert entry.sent == {"quota": (-1, "adjust")}
    assert ledger.container("other") is None


def test_the_last_decision_replaces_the_one_before():
    ledger = Ledger()
    ledger.remember(Entry("c", "main", "p", SMALL), decision(quota=-1, more=1))
    ledger.remember(Entry("c", "main", "p", BIG), decision(quota=7))
    [entry] = ledger.entries()
    assert (entry.baseline, entry.sent) == (BIG, {"quota": (7, "adjust")})


def test_a_second_creation_of_a_name_ends_the_failed_first_one():
    """A runtime may refuse a container after our answer, and CRI-O does not report its end."""
    ledger = Ledger()
    for container_id, name, started in (("runs", "main", True), ("refused", "main", False), ("other", "side", False)):
        entry = Entry(container_id, name, "p", SMALL)
        entry.started = started
        ledger.remember(entry, decision())
    again = Entry("again", "main", "p", SMALL)
    again.started = False
    ledger.remember(again, decision())
    assert [e.id for e in ledger.containers_of("p") if e.ended] == ["refused"]


def test_a_pod_takes_its_containers_with_it():
    """Runtimes may report nothing of the containers of a pod that is gone (containerd issue 8426)."""
    book = Book()
    book.ledger.remember_pod(pod(name="p"))
    book.ledger.remember_pod(pod(name="q"))
    book.remember("c1", SMALL, noted=True)
    book.remember("c2")
    book.remember("c3", pod_id="q")
    book.ledger.forget_pod("p")
    assert book.ledger.pod("p") is None
    assert [e.id for e in book.ledger.entries()] == ["c3"]
    assert book.saved == {}


@pytest.mark.parametrize("what", ["pod", "container"])
def test_forgetting_what_was_never_known_is_nothing(what):
    book = Book()
    getattr(book.ledger, f"forget_{what}")("unknown")
    assert book.saves == 0
    assert book.ledger.counts() == (0, 0)


def test_a_pod_is_forgotten_though_its_containers_went_before():
    ledger = Ledger()
    ledger.remember_pod(pod(name="p"))
    ledger.remember(Entry("c", "main", "p", NOTHING), decision())
    ledger.forget_container("c")
    ledger.forget_pod("p")
    assert ledger.counts() == (0, 0)


# -- noted baselines --------------------------------------------------------------------------------------------------


def test_a_noted_baseline_is_kept_and_saved_once():
    book = Book()
    book.remember("c", SMALL, noted=True)
    book.remember("c", SMALL, noted=True)
    assert book.ledger.noted_baseline("c") == SMALL
    assert (book.saves, book.saved) == (1, {"c": Note(SMALL)})
    book.remember("c", BIG, noted=True)
    assert (book.saves, book.saved) == (2, {"c": Note(BIG)})


def test_what_was_set_is_saved_with_the_baseline():
    book = Book()
    for quota in (40_000, 40_000, 20_000):
        book.ledger.remember(Entry("c", "main", "p", BIG), decision(), Note(BIG, {"cpu.quota": quota}))
    assert book.ledger.note("c") == Note(BIG, {"cpu.quota": 20_000})
    assert (book.saves, book.saved) == (2, {"c": Note(BIG, {"cpu.quota": 20_000})})
    assert book.ledger.note("other") is None


def test_a_baseline_that_moved_back_to_its_annotation_is_dropped():
    """Else the next event would start from where kubelet has been, not from where it is."""
    book = Book()
    book.remember("c", BIG, noted=True)
    book.remember("c", SMALL, noted=False)
    assert book.ledger.noted_baseline("c") is None
    assert (book.saves, book.saved) == (2, {})


def test_a_baseline_that_did_not_move_is_the_annotations_business():
    book = Book()
    book.remember("c", SMALL, noted=False)
    assert book.ledger.noted_baseline("c") is None
    assert book.saves == 0


def test_what_was_loaded_is_known_before_its_container_is():
    book = Book({"c": Note(BIG)})
    assert book.ledger.noted_baseline("c") == BIG
    assert book.ledger.container("c") is None


def test_the_loaded_baselines_are_a_copy():
    loaded = {"c": Note(BIG)}
    ledger = Ledger(loaded)
    ledger.notes().clear()
    loaded.clear()
    assert ledger.noted_baseline("c") == BIG


@pytest.mark.parametrize(
    ("forget", "saves"),
    [
        (lambda ledger: ledger.forget_container("noted"), 1),
        (lambda ledger: ledger.forget_container("not noted"), 0),
        (lambda ledger: ledger.forget_pod("p"), 1),
        (lambda ledger: ledger.replace([], ["noted", "not noted"]), 0),
        (lambda ledger: ledger.replace([], ["not noted"]), 1),
        (lambda ledger: ledger.replace([], ["noted"]), 0),
    ],
)
def test_the_state_directory_hears_of_a_removal_only_if_a_noted_baseline_went(forget, saves):
    book = Book()
    book.remember("noted", SMALL, noted=True)
    book.remember("not noted")
    book.saves = 0
    forget(book.ledger)
    assert book.saves == saves


# -- synchronize ------------------------------------------------------------------------------------------------------


def test_synchronize_keeps_what_still_is_and_forgets_the_rest():
    book = Book({"c": Note(SMALL), "never-seen": Note(BIG), "removed-while-we-were-away": Note(BIG)})
    book.ledger.remember_pod(pod(name="old"))
    book.remember("c", SMALL, noted=True)
    book.remember("gone", BIG, noted=True)
    book.ledger.replace([pod(name="p")], ["c", "never-seen"])
    assert book.ledger.pod("old") is None
    assert book.ledger.pod("p") is not None
    assert [e.id for e in book.ledger.entries()] == ["c"]
    assert book.saved == {"c": Note(SMALL), "never-seen": Note(BIG)}, (
        "also those of containers that were not decided yet"
    )


# -- any sequence -----------------------------------------------------------------------------------------------------

PODS = "pq"
CONTAINERS = {"p": ("p1", "p2"), "q": ("q1", "q2")}
IDS = [c for ids in CONTAINERS.values() for c in ids]
operations = st.lists(
    st.one_of(
        st.tuples(st.just("remember"), st.sampled_from(PODS)),
        st.tuples(st.just("forget_pod"), st.sampled_from(PODS)),
        st.tuples(st.just("record"), st.sampled_from(IDS), st.booleans(), st.sampled_from([SMALL, BIG])),
        st.tuples(st.just("forget_container"), st.sampled_from(IDS)),
        st.tuples(st.just("replace"), st.sets(st.sampled_from(PODS)), st.sets(st.sampled_from(IDS))),
    ),
    max_size=30,
)


@given(operations)
def test_any_sequence_leaves_what_a_plain_model_of_it_says(steps):
    """Pods, containers and noted baselines as three plain dictionaries; and the state directory always has the last word."""
    pods: set[str] = set()
    containers: dict[str, Resources] = {}
    notes: dict[str, Note] = {}
    book = Book()
    book.saved = {}

    def drop(ids: Any) -> None:
        for gone in list(ids):
            containers.pop(gone, None)
            notes.pop(gone, None)

    for name, *args in steps:
        if name == "remember":
            book.ledger.remember_pod(pod(name=args[0]))
            pods.add(args[0])
        elif name == "forget_pod":
            book.ledger.forget_pod(args[0])
            pods.discard(args[0])
            drop(i for i in CONTAINERS[args[0]] if i in containers)
        elif name == "record":
            container_id, has_moved, baseline = args
            book.remember(container_id, baseline, has_moved, container_id[0])
            containers[container_id] = baseline
            notes.pop(container_id, None)
            if has_moved:
                notes[container_id] = Note(baseline)
        elif name == "forget_container":
            book.ledger.forget_container(args[0])
            drop(args)
        else:
            book.ledger.replace([pod(name=p) for p in args[0]], args[1])
            pods = set(args[0])
            drop(set(IDS) - args[1])
        assert book.ledger.counts() == (len(pods), len(containers))
        assert {e.id: e.baseline for e in book.ledger.entries()} == containers
        assert book.ledger.notes() == book.saved == notes
        assert [book.ledger.pod(p) is not None for p in PODS] == [p in pods for p in PODS]
        # Nothing public shows a left-over in the index by pod, but it would grow with every container of the node.
        index = {(p, i) for p, ids in book.ledger._by_pod.items() for i in ids}
        assert index == {(i[0], i) for i in containers}

    for each in PODS:
        book.ledger.forget_pod(each)
    assert book.ledger.entries() == []
    assert book.saved == {}


# -- files that we wrote ----------------------------------------------------------------------------------------------


class Notes(Book):
    """A ledger with pod p and its container c, and what the state directory has of the fields that were written."""

    def __init__(self, written: dict[str, dict[str, Any]] | None = None) -> None:
        self.saves = 0
        self.ledger = Ledger(None, self._save, written)
        self.ledger.remember_pod(pod(name="p"))
        self.remember("c")

    def _save(self) -> None:
        self.saved_originals = self.ledger.all_originals()
        self.saves += 1


@pytest.mark.parametrize("owner", ["p", "c"])
def test_what_a_file_held_first_is_kept_and_saved_once(owner):
    notes = Notes()
    notes.ledger.wrote(owner, "cpu.quota", 80_000)
    notes.ledger.wrote(owner, "cpu.quota", 40_000)
    assert notes.ledger.originals(owner) == {"cpu.quota": 80_000}
    assert (notes.saves, notes.saved_originals) == (1, {owner: {"cpu.quota": 80_000}})


def test_what_a_file_has_is_not_what_the_runtime_was_sent():
    notes = Notes()
    notes.ledger.remember(Entry("c", "main", "p", NOTHING), decision(quota=1, more=2))
    notes.ledger.wrote("c", "quota", 80_000)
    notes.ledger.verified("c", "quota", 40_000)
    notes.ledger.verified("gone", "quota", 40_000)
    entry = notes.ledger.container("c")
    assert entry is not None
    assert (entry.sent, entry.files) == ({"quota": (1, ADJUST), "more": (2, ADJUST)}, {"quota": 40_000})


def test_a_value_on_its_way_through_the_runtime_may_be_stored_or_not():
    """Should we die before its outcome is known, either value is ours."""
    book = Book()
    book.ledger.remember_pod(pod(name="p"))
    book.ledger.remember(Entry("c", "main", "p", SMALL), decision(quota=1), Note(SMALL, {"quota": 1}))
    book.ledger.sending("c", {"quota": 2})
    assert book.ledger.note("c") == Note(SMALL, {"quota": 1}, maybe={"quota": [2]})
    book.ledger.recorded("c", {"quota": 2})
    assert book.saved == {"c": Note(SMALL, {"quota": 2}, maybe={"quota": [1]})}
    entry = book.ledger.container("c")
    assert entry is not None
    assert entry.sent == {"quota": (2, "record")}


def test_what_is_gone_when_its_update_returns_leaves_nothing_behind():
    book = Book()
    book.ledger.sending("gone", {"quota": 2})
    book.ledger.recorded("gone", {"quota": 2})
    assert (book.ledger.notes(), book.saves) == ({}, 0)


def test_what_went_back_is_forgotten_and_saved_once():
    notes = Notes({"c": {"cpu.quota": 5, "cpu.shares": 7}})
    for _ in range(2):
        notes.ledger.restored("c", "cpu.quota")
    assert (notes.saves, notes.saved_originals) == (1, {"c": {"cpu.shares": 7}})
    notes.ledger.restored("c", "cpu.shares")
    assert (notes.saves, notes.saved_originals) == (2, {})


def test_a_file_that_held_nothing_readable_was_written_all_the_same():
    notes = Notes()
    notes.ledger.wrote("p", "cpu.quota", None)
    assert notes.saved_originals == {"p": {"cpu.quota": None}}
    notes.ledger.restored("p", "cpu.quota")
    assert notes.saved_originals == {}


@pytest.mark.parametrize("owner", ["gone", ""])
def test_what_is_gone_by_the_time_it_was_written_leaves_nothing_behind(owner):
    notes = Notes()
    notes.ledger.wrote(owner, "cpu.quota", 5)
    notes.ledger.restored(owner, "cpu.quota")
    assert notes.saves == 0
    assert notes.ledger.all_originals() == {}


def test_a_new_decision_does_not_forget_what_a_file_held():
    """Else a field that an update decided no more would never go back."""
    notes = Notes()
    notes.ledger.wrote("c", "cpu.quota", 80_000)
    notes.remember("c")
    assert notes.ledger.originals("c") == {"cpu.quota": 80_000}


@pytest.mark.parametrize(
    ("forget", "left"),
    [
        (lambda ledger: ledger.forget_container("c"), {"p"}),
        (lambda ledger: ledger.forget_pod("p"), set()),
        (lambda ledger: ledger.forget_pod("q"), {"p", "c"}),
        (lambda ledger: ledger.replace([pod(name="p")], ["c"]), {"p", "c"}),
        (lambda ledger: ledger.replace([pod(name="p")], []), {"p"}),
        (lambda ledger: ledger.replace([], ["c"]), {"c"}),
        (lambda ledger: ledger.replace([], []), set()),
    ],
)
def test_what_was_written_goes_with_its_pod_or_container(forget, left):
    notes = Notes()
    for owner in ("p", "c"):
        notes.ledger.wrote(owner, "cpu.quota", 80_000)
    notes.saves = 0
    forget(notes.ledger)
    assert notes.ledger.all_originals().keys() == left
    assert notes.saves == (left != {"p", "c"})
    if notes.saves:
        assert notes.saved_originals == notes.ledger.all_originals()


def test_what_was_loaded_is_known_before_its_owner_is_and_goes_if_synchronize_does_not_name_it():
    notes = Notes({"p": {"cpu.quota": 1}, "later": {"cpu.quota": 2}, "gone": {"cpu.quota": 3}})
    assert notes.ledger.originals("later") == {"cpu.quota": 2}
    notes.ledger.replace([pod(name="p")], ["c", "later"])
    assert notes.saved_originals == {"p": {"cpu.quota": 1}, "later": {"cpu.quota": 2}}


def test_what_is_handed_out_and_taken_in_of_the_written_is_a_copy():
    loaded = {"c": {"cpu.quota": 1}}
    notes = Notes(loaded)
    loaded["c"].clear()
    notes.ledger.originals("c").clear()
    notes.ledger.all_originals()["c"].clear()
    notes.ledger.all_originals().clear()
    assert notes.ledger.all_originals() == {"c": {"cpu.quota": 1}}


def test_pods_and_their_containers_are_reported_at_one_moment():
    notes = Notes()
    notes.ledger.remember_pod(pod(name="q"))
    notes.remember("b")
    notes.remember("d", pod_id="q")
    pods, of_p = notes.ledger.pods(), notes.ledger.containers_of("p")
    notes.ledger.forget_pod("p")
    assert [p.id for p in pods] == ["p", "q"]
    assert [e.id for e in of_p] == ["b", "c"]
    assert notes.ledger.containers_of("p") == notes.ledger.containers_of("unknown") == []
    assert [e.id for e in notes.ledger.containers_of("q")] == ["d"]


def test_what_was_read_of_a_container_before_it_started_counts_for_nothing():
    """The OCI runtime makes its cgroup, and then writes into it what was sent at the creation: a look in between saw neither."""
    ledger = Ledger()
    entry = Entry("c", "main", "p", SMALL)
    entry.started = False
    ledger.remember(entry, decision(quota=1))
    assert not ledger.started(entry)
    entry.started = False
    ledger.verified("c", "quota", 2)
    edits = ledger.edits
    assert ledger.started(entry)
    assert (entry.started, entry.files, ledger.edits) == (True, {}, edits + 1)


@pytest.mark.parametrize("stopped_first", [True, False])
def test_a_second_sandbox_of_a_pod_has_the_notes_of_the_first_for_their_cgroup_is_the_same(stopped_first):
    """Else what we wrote there would be taken for kubelet's, and scaled once more."""
    saved = []
    ledger = Ledger(on_change=lambda: saved.append(True))
    ledger.remember_pod(Pod("first", "uid", "shop", "p"))
    ledger.wrote("first", "cpu.quota", 90_000)
    if stopped_first:
        ledger.forget_pod("first")
    saved.clear()
    ledger.remember_pod(Pod("second", "uid", "shop", "p"))
    assert ledger.originals("second") == {"cpu.quota": 90_000}
    assert saved
    ledger.forget_pod("first")
    assert ledger.originals("second") == {"cpu.quota": 90_000}
    ledger.remember_pod(Pod("another", "uid-2", "shop", "q"))
    assert ledger.originals("another") == {}


class TestSandboxes:
    """A pod's sandboxes are found by its uid, whatever comes and goes around them."""

    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.sampled_from(["", "u1", "u2"])), max_size=30))
    def test_they_are_those_of_all_pods_that_have_the_uid(self, steps: list[tuple[bool, int, str]]) -> None:
        ledger, order = Ledger(), dict[str, str]()
        for comes, number, uid in steps:
            pod_id = f"s{number}"
            order.pop(pod_id, None)
            if comes:
                ledger.remember_pod(Pod(pod_id, uid, "default", pod_id))
                order[pod_id] = uid
            else:
                ledger.forget_pod(pod_id)
        for uid in ("u1", "u2"):
            assert [pod.id for pod in ledger.sandboxes(uid)] == [i for i, its in order.items() if its == uid]
            assert ledger.has(uid) == (uid in order.values())
        assert all(ledger.has(pod_id) == (order.get(pod_id) is not None) for pod_id in ("s0", "s1", "s2", "s3"))

    def test_after_a_synchronize_they_are_the_reported_ones(self) -> None:
        ledger = Ledger()
        ledger.remember_pod(Pod("old", "u1", "default", "a"))
        ledger.replace([Pod("a", "u1", "default", "a"), Pod("b", "u1", "default", "a")], [])
        assert [pod.id for pod in ledger.sandboxes("u1")] == ["a", "b"]
        ledger.forget_pod("b")
        assert ledger.has("u1")
        ledger.forget_pod("a")
        assert not ledger.has("u1")


def test_a_reading_counts_only_if_the_value_is_another():
    ledger = Ledger()
    ledger.remember(Entry("c", "main", "p", NOTHING), decision())
    counts = []
    for value in ("0-3", "0-3", "0-2"):
        ledger.verified("c", "cpu.cpus", value)
        counts.append(ledger.readings)
    for _ in range(2):
        ledger.missed("c", "cpu.cpus")
        counts.append(ledger.readings)
    assert counts == [1, 1, 2, 3, 3]


def test_a_pod_is_judged_under_the_rules_in_force_unless_another_thread_stored_a_newer_one():
    ledger = Ledger()
    first, second = Pod("p", "u", "shop", "web"), Pod("p", "u", "shop", "web", {"newer": ""})
    ledger.remember_pod(first)
    assert ledger.judge("p", lambda pod: pod) is first
    assert ledger.judge("gone", lambda pod: pod) is None

    def believe(pod: Pod) -> Pod:
        if pod is first:
            ledger.remember_pod(second)  # as a watch's thread may do meanwhile
            return Pod("p", "u", "shop", "former")
        return pod

    assert ledger.judge("p", believe) is second
    assert ledger.pod("p") is second


def test_what_is_withheld_until_the_start_is_looked_at_then_and_nothing_is_withheld_after_it():
    ledger = Ledger()
    entry = Entry("c", "main", "p", SMALL)
    entry.started = False
    ledger.remember(entry, decision(quota=1))
    assert ledger.withhold(entry)
    assert ledger.started(entry)
    assert not ledger.withhold(entry), "it has started: its files may be written"
    entry.started = False
    assert not ledger.started(entry)


def test_it_knows_whether_anything_has_an_original_of_a_field() -> None:
    it, web = Ledger(), pod()
    it.remember_pod(web)
    assert not it.any_original("sched.core")
    it.wrote(web.id, "sched.core", 0)
    assert it.any_original("sched.core")
    assert not it.any_original("cpu.quota")
    it.restored(web.id, "sched.core")
    assert not it.any_original("sched.core")
