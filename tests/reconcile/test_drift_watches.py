"""Which directories are watched: as long as somebody needs them, and as far as the kernel allows."""

from __future__ import annotations

from typing import Any

from koordnri.reconcile.drift_watches import TRIES_AGAIN_S, Watches
from tests.reconcile.fake_watch import FakeWatch


class Watching:
    """Watches that are open. All directories but those in `missing` exist."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events: list[str] = []
        self.lines: list[str] = []
        self.missing: set[str] = set()
        self.fake = FakeWatch(lambda directory: directory not in self.missing)
        self.it = Watches(
            lambda woken: self.fake,
            self,  # type: ignore[arg-type]  # of a log, only `warning` is used
            lambda reason, message: self.events.append(reason),
            lambda: self.now,
        )
        self.it.start(lambda: None)

    def warning(self, event: str, **_: Any) -> None:
        self.lines.append(event)


def test_a_directory_is_watched_until_its_last_owner_leaves():
    watching = Watching()
    assert watching.it.add("/c/burstable", "p")
    assert watching.it.add("/c/burstable", "q")
    assert set(watching.it.owners("/c/burstable")) == {"p", "q"}
    watching.it.leave("p", ["/c/burstable"])
    assert watching.fake.watched == {"/c/burstable"}
    watching.it.leave("q", ["/c/burstable"])
    assert watching.fake.watched == set()
    assert not watching.it.owners("/c/burstable")


def test_a_directory_that_does_not_exist_has_no_owner():
    watching = Watching()
    watching.missing.add("/c/p")
    assert not watching.it.add("/c/p", "p")
    assert not watching.it.owners("/c/p")
    assert not watching.it.refused


def test_only_a_directory_whose_watch_has_just_begun_is_fresh():
    watching = Watching()
    watching.it.add("/c/burstable", "p")
    assert watching.it.fresh == {"/c/burstable"}
    watching.it.fresh.clear()
    watching.it.add("/c/burstable", "q")
    assert watching.it.fresh == set()


def test_a_directory_that_vanished_is_named_to_its_owners_once():
    watching = Watching()
    watching.it.add("/c/p", "p")
    assert set(watching.it.vanished("/c/p")) == {"p"}
    assert not watching.it.vanished("/c/p")


def test_a_refusal_counts_as_existing_and_is_reported_once_and_tried_again_after_a_minute():
    watching = Watching()
    watching.fake.most = 1
    assert watching.it.add("/c/p", "p")
    assert watching.it.add("/c/q", "q")
    assert watching.it.add("/c/r", "r")
    assert watching.it.refused == {"/c/q", "/c/r"}
    assert (watching.events, watching.lines) == (["DriftSeenLate"], ["cgroup_watch_limited"])
    watching.fake.most = 10
    assert watching.it.add("/c/q", "q")
    assert watching.fake.watched == {"/c/p"}, "the kernel is asked at most once a minute"
    watching.now += TRIES_AGAIN_S
    assert watching.it.add("/c/q", "q")
    assert watching.it.refused == {"/c/r"}
    watching.it.leave("r", ["/c/r"])
    assert watching.it.refused == set()
    assert watching.events == ["DriftSeenLate"]


def test_changes_rise_with_a_new_directory_and_with_another_try_but_not_with_another_owner():
    watching = Watching()
    watching.fake.most = 1
    counts = []
    for directory, owner in (("/c/p", "p"), ("/c/p", "q"), ("/c/q", "q"), ("/c/q", "q")):
        watching.it.add(directory, owner)
        counts.append(watching.it.changes)
    assert counts == [1, 1, 2, 3]


def test_what_cannot_be_opened_watches_nothing_and_says_so():
    watching = Watching()

    def none(_: Any) -> Any:
        raise OSError(24, "no instance left")

    watching.it = Watches(none, watching, lambda reason, _: watching.events.append(reason), lambda: 0.0)  # type: ignore[arg-type]
    watching.it.start(lambda: None)
    assert not watching.it.open
    assert watching.events == ["DriftSeenLate"]
    assert watching.it.add("/c/p", "p")
    assert watching.it.refused == {"/c/p"}
    assert watching.it.take() == (set(), set(), False)
    assert len(watching.it) == 0
