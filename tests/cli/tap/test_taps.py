"""Several taps in one thread."""

from __future__ import annotations

from pathlib import Path

from koordnri.cli.tap.tap import Seen, Tap
from koordnri.session.identity import Identity
from tests.cli.tap.watched import look, watched


def test_an_event_is_seen_in_the_order_of_the_indices(tmp_path: Path) -> None:
    found: list[Seen] = []

    def watch(path: str) -> None:
        found.extend(look([Tap(path, Identity(f"tap-{index}", index)) for index in ("00", "40", "99")]))

    watched(tmp_path, 3, watch)
    events = [(seen.at, seen.method) for seen in found if seen.method != "Synchronize"]
    methods = list(dict.fromkeys(method for _, method in events))
    assert methods[:2] == ["RunPodSandbox", "CreateContainer"]
    assert events == [(at, method) for method in methods for at in ("00", "40", "99")]
