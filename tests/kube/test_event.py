"""One Event as JSON: whom it is about, where it lives, and how long its message may be."""

from __future__ import annotations

import pytest

from koordnri.kube.event import (
    MAX_MESSAGE,
    Target,
    event_body,
    events_path,
    node_target,
    pod_target,
    shortened,
    timestamp,
)


@pytest.mark.parametrize(
    ("target", "namespace"),
    [(pod_target("shop", "web", "u-1"), "shop"), (node_target("n1"), "default")],
)
def test_an_event_lives_with_its_pod_and_that_of_a_node_in_default(target: Target, namespace: str) -> None:
    assert events_path(target) == f"/api/v1/namespaces/{namespace}/events"
    assert event_body(target, "e", "Warning", "Why")["metadata"] == {"name": "e", "namespace": namespace}


def test_a_namespace_cannot_leave_its_place_in_the_path() -> None:
    assert events_path(pod_target("../x", "web", "")) == "/api/v1/namespaces/..%2Fx/events"


def test_what_an_object_lacks_is_not_sent() -> None:
    body = event_body(node_target("n1"), "e", "Normal", "Why")
    assert body["involvedObject"] == {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "n1"}
    assert (body["type"], body["reason"]) == ("Normal", "Why")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fine", "fine"),
        ("x" * MAX_MESSAGE, "x" * MAX_MESSAGE),
        ("x" * (MAX_MESSAGE + 1), "x" * (MAX_MESSAGE - 3) + "..."),
        ("a\udcffb", "a?b"),
    ],
    ids=["short", "as-long-as-may-be", "too-long", "a-file-name-that-is-no-text"],
)
def test_a_message_is_text_of_a_bounded_length(text: str, expected: str) -> None:
    assert shortened(text) == expected


def test_times_are_in_utc_and_whole_seconds() -> None:
    assert timestamp(1_700_000_000.9) == "2023-11-14T22:13:20Z"
