"""A list comes page by page."""

from __future__ import annotations

import json
from typing import Any

from koordnri.kube import Restart, Timing
from tests.kube.fake_api import (
    Answer,
    FakeApi,
    configmap,
    dripping,
    status,
    whole,
)
from tests.kube.fake_api import watching as watch_of
from tests.kube.listed import CHANGE, LIST, NEW, OLD, RELIST, Start, restarts


def test_a_list_is_at_least_as_new_as_the_last_event(fake: FakeApi, watching: Start) -> None:
    fake.script += [LIST, watch_of(CHANGE), status(410, "too old"), RELIST]
    watching()
    assert fake.requests.wait(4)[3].query == {"fieldSelector": "metadata.name=policy", "resourceVersion": "11"}


def test_the_pages_of_a_list_are_one_list(fake: FakeApi, watching: Start) -> None:
    def part(rest: str, *items: Any) -> Answer:
        body = {"kind": "ConfigMapList", "metadata": {"resourceVersion": "10", "continue": rest}, "items": items}
        return whole(200, json.dumps(body).encode(), Content_Type="application/json")

    fake.script += [part("b", configmap("7", NEW, name="another")), part("c"), part("", configmap("9", OLD))]
    it = watching()
    assert it.reported.wait(1) == [(OLD, "9")]
    queries = [request.query for request in fake.requests.wait(4)]
    selector = {"fieldSelector": "metadata.name=policy", "limit": "500"}
    # The version is in the token, and may not be given beside it.
    assert queries[1:3] == [{**selector, "continue": "b"}, {**selector, "continue": "c"}]
    assert queries[3]["resourceVersion"] == "10"


def test_a_page_that_has_expired_begins_the_list_again_from_the_newest(fake: FakeApi, watching: Start) -> None:
    body = {
        "kind": "ConfigMapList",
        "metadata": {"resourceVersion": "10", "continue": "b"},
        "items": [configmap("9", OLD)],
    }
    fake.script += [
        whole(200, json.dumps(body).encode()),
        status(410, "The provided continue parameter is too old"),
        RELIST,
    ]
    it = watching()
    assert it.reported.wait(1) == [(NEW, "19")]
    assert fake.requests[2].query == {"fieldSelector": "metadata.name=policy", "limit": "500"}


def test_a_list_that_never_ends_is_given_up(fake: FakeApi, watching: Start) -> None:
    fake.script += [dripping(b" "), LIST]
    it = watching(Timing(answer_s=0.2))
    it.reported.wait(1)
    assert restarts(it) == {Restart.SILENT: 1}
