"""What is kept of all Namespaces, and when their labels are reported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from koordnri.kube import Api, NamespaceWatch
from tests.kube.fake_api import FakeApi, Json, Live, Seen, line, listing
from tests.kube.watched import IMPATIENT, running


def namespace(version: str, name: str = "shop", **labels: str) -> Json:
    metadata = {"name": name, "uid": name, "resourceVersion": version, **({"labels": labels} if labels else {})}
    return {"kind": "Namespace", "metadata": metadata, "spec": {"finalizers": ["kubernetes"]}}


def test_labels_are_reported_when_they_change(fake: FakeApi, api: Api, log: Any) -> None:
    reported: Seen[Mapping[str, Mapping[str, str]]] = Seen()
    live = Live()
    fake.script += [listing("Namespace", "10", namespace("8", team="a"), namespace("9", "bank")), live]
    noun = NamespaceWatch(api, lambda: reported.append(noun.labels), log, timing=IMPATIENT)
    with running(noun.watch):
        live.send(
            line("MODIFIED", namespace("11", team="a")),
            line("MODIFIED", namespace("12", team="b")),
            line("ADDED", namespace("13", "new")),
            line("DELETED", namespace("14", "bank")),
        )
        seen = reported.wait(4)
        live.end()
    assert seen == [
        {"shop": {"team": "a"}, "bank": {}},
        {"shop": {"team": "b"}, "bank": {}},
        {"shop": {"team": "b"}, "bank": {}, "new": {}},
        {"shop": {"team": "b"}, "new": {}},
    ]
    assert fake.requests[0].path == "/api/v1/namespaces"


def test_a_cluster_without_any_is_an_answer(fake: FakeApi, api: Api, log: Any) -> None:
    reported: Seen[Mapping[str, Mapping[str, str]]] = Seen()
    fake.script += [listing("Namespace", "10")]
    noun = NamespaceWatch(api, lambda: reported.append(noun.labels), log, timing=IMPATIENT)
    with running(noun.watch):
        assert reported.wait(1) == [{}]
