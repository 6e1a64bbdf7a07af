"""A registration that only looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from koordnri.cli.tap.tap import Seen, Tap, TapEnded
from koordnri.runtime import Runtime
from koordnri.session.identity import Identity
from koordnri.wire.events import LOOKED_AT, NRIEvent
from koordnri.wire.versions import NEWEST, Version
from tests.cli.tap.watched import look, watched
from tests.support.messages import container, pod

STORY = ["RunPodSandbox", "CreateContainer", "StartContainer", "StopContainer"]


def seen_of(directory: Path, nri: Version, events: tuple[NRIEvent, ...] = LOOKED_AT) -> list[Seen]:
    found: list[Seen] = []
    watched(directory, 1, lambda path: found.extend(look([Tap(path, Identity("tap", "99"), events)])), nri)
    return found


@pytest.mark.parametrize("nri", [Version(0, 6, 1), Version(0, 12, 1), NEWEST], ids=str)
def test_every_event_is_seen_by_its_own_name_whatever_the_runtimes_age(tmp_path: Path, nri: Version) -> None:
    found = seen_of(tmp_path, nri)
    assert found[0].method == "Synchronize"
    names = [seen.method for seen in found[1:] if not seen.method.startswith("Post")]
    assert names == STORY
    assert {seen.at for seen in found} == {"99"}


def test_only_the_events_that_are_asked_for_are_seen(tmp_path: Path) -> None:
    found = seen_of(tmp_path, NEWEST, (NRIEvent.CREATE_CONTAINER,))
    assert [seen.method for seen in found] == ["Synchronize", "CreateContainer"]


def test_a_list_in_parts_is_taken_to_its_end(tmp_path: Path) -> None:
    with Runtime(tmp_path / "nri.sock") as runtime:
        big = "x" * 100_000
        runtime.preload([pod()], [container(f"c{i}", annotations={"a": big}) for i in range(99)])
        tap = Tap(str(tmp_path / "nri.sock"), Identity("tap", "10"))
        parts = []
        while not tap.synchronized:
            parts += list(tap.receive())
        tap.close()
    assert len(parts) > 1
    assert sum(len(part.message.containers) for part in parts) == 99  # type: ignore[attr-defined]  # of a SynchronizeRequest


def test_a_runtime_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TapEnded, match=f"cannot connect to {tmp_path}/none: No such file"):
        Tap(f"{tmp_path}/none", Identity("tap", "10"))
