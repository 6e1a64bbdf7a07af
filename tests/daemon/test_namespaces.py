"""The watch of Namespaces: there while it is wanted, and at most once."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.daemon.namespaces import Namespaces


class FakeWatch:
    def __init__(self) -> None:
        self.life: list[str] = []

    def start(self) -> None:
        self.life.append("start")

    def stop(self, timeout_s: float = 2.0) -> None:
        self.life.append("stop")


class FakeNamespaceWatch:
    def __init__(self) -> None:
        self.watch = FakeWatch()
        self.labels = {"shop": {"team": "hpc"}}


@pytest.fixture
def made() -> list[FakeNamespaceWatch]:
    return []


@pytest.fixture
def namespaces(made: list[FakeNamespaceWatch]) -> Namespaces:
    def make() -> Any:
        made.append(FakeNamespaceWatch())
        return made[-1]

    return Namespaces(make)


def lives(made: list[FakeNamespaceWatch]) -> list[list[str]]:
    return [one.watch.life for one in made]


def test_nothing_is_watched_unless_it_is_wanted(namespaces: Namespaces, made: list[FakeNamespaceWatch]) -> None:
    namespaces.want(False)
    namespaces.start()
    namespaces.stop()
    assert (made, namespaces.labels, namespaces.watches) == ([], {}, {})


def test_what_is_wanted_before_the_start_starts_with_it(namespaces: Namespaces, made: list[FakeNamespaceWatch]) -> None:
    namespaces.want(True)
    assert lives(made) == [[]]
    namespaces.start()
    namespaces.want(True)
    assert lives(made) == [["start"]]
    assert namespaces.labels == {"shop": {"team": "hpc"}}
    assert list(namespaces.watches) == ["namespaces"]


def test_a_watch_ends_with_the_wish_and_another_one_begins_with_the_next(
    namespaces: Namespaces, made: list[FakeNamespaceWatch]
) -> None:
    namespaces.start()
    namespaces.want(True)
    namespaces.want(False)
    assert namespaces.labels == {}, "labels that nobody keeps up to date are not known"
    namespaces.want(True)
    namespaces.stop()
    assert lives(made) == [["start", "stop"], ["start", "stop"]]
