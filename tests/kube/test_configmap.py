"""What of a ConfigMap is reported, and when nothing is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.kube.fake_api import FakeApi, Json, Live, configmap, line, listing, status
from tests.kube.watched import Watching


class TestConfigMap:
    Start = Callable[..., Watching]

    @pytest.mark.parametrize(
        ("listed", "reported"),
        [
            ([configmap("9", {"a": "1"})], ({"a": "1"}, "9")),
            ([configmap("9", None)], ({}, "9")),
            ([], (None, "")),
            ([configmap("9", {"a": "1"}, name="another")], (None, "")),
        ],
        ids=["data", "no data", "no such object", "another's"],
    )
    def test_the_first_list_is_always_reported(
        self, fake: FakeApi, watching: Start, listed: list[Json], reported: Any
    ) -> None:
        fake.script += [listing("ConfigMap", "10", *listed)]
        assert watching().reported.wait(1) == [reported]

    def test_only_changes_of_the_data_are_reported(self, fake: FakeApi, watching: Start) -> None:
        live = Live()
        fake.script += [listing("ConfigMap", "10", configmap("9", {"a": "1"})), live]
        it = watching()
        live.send(
            line("MODIFIED", configmap("11", {"a": "1"})),
            line("MODIFIED", configmap("12", {"a": "2"})),
            line("ADDED", configmap("13", {"a": "9"}, name="another")),
            line("DELETED", configmap("14", {"a": "9"}, name="another")),
            line("MODIFIED", configmap("15", {})),
            line("DELETED", configmap("16", {})),
            line("ADDED", configmap("17", {"a": "2"})),
        )
        reported = it.reported.wait(5)
        live.end()
        assert reported == [({"a": "1"}, "9"), ({"a": "2"}, "12"), ({}, "15"), (None, "16"), ({"a": "2"}, "17")]

    def test_a_deletion_that_was_missed_is_reported_by_the_next_list(self, fake: FakeApi, watching: Start) -> None:
        fake.script += [listing("ConfigMap", "10", configmap("9", {"a": "1"})), status(410, "too old")]
        fake.script += [listing("ConfigMap", "20")]
        assert watching().reported.wait(2) == [({"a": "1"}, "9"), (None, "")]
