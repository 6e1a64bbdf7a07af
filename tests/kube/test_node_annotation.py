"""The annotation about the policy: one patch per change, none where the Node has it, and again after a failure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from structlog.testing import LogCapture

from koordnri.kube import Api, NodeAnnotation, Timing
from koordnri.kube.node_annotation import KEY, SETTLE_S, SPREAD_S
from tests.kube.fake_api import FakeApi, Request, status, whole
from tests.support.waiting import eventually

OK = whole(200, b'{"kind": "Node"}')
IMPATIENT = Timing(first_pause_s=0.001, longest_pause_s=0.001, absent_s=0.001)
AT_S = 1_700_000_000.0
AT = "2023-11-14T22:13:20Z"


class Scene:
    """A Node with this annotation; None: it is not known yet."""

    def __init__(self, api: Api, log: Any, has: str | None = "", **keywords: Any) -> None:
        self.has = has
        self.asked = 0
        self.deaths: list[BaseException] = []
        keywords = {"settle_s": 0.0, "spread_s": 0.0, "timing": IMPATIENT, "now": lambda: AT_S, **keywords}
        self.annotation = NodeAnnotation(api, "n1", self._present, log, self.deaths.append, **keywords)

    def _present(self) -> str | None:
        self.asked += 1
        return self.has


@contextmanager
def running(scene: Scene) -> Iterator[NodeAnnotation]:
    scene.annotation.start()
    try:
        yield scene.annotation
    finally:
        scene.annotation.stop()
    assert scene.deaths == []


def patched(request: Request) -> str:
    assert (request.method, request.path) == ("PATCH", "/api/v1/nodes/n1")
    assert request.headers["content-type"] == "application/merge-patch+json"
    (key, text), *others = request.json["metadata"]["annotations"].items()
    assert (key, others) == (KEY, [])
    return str(text)


def test_each_change_of_the_policy_is_one_patch(fake: FakeApi, api: Api, log: Any) -> None:
    fake.script += [OK, OK]
    with running(Scene(api, log)) as annotation:
        annotation.want("aaaa")
        annotation.want("aaaa")
        fake.requests.wait(1)
        annotation.want("bbbb")
        assert [patched(r) for r in fake.requests.wait(2)] == [f"aaaa@{AT}", f"bbbb@{AT}"]
    assert len(fake.requests) == 2


def test_changes_in_a_row_are_one_patch(fake: FakeApi, api: Api, log: Any) -> None:
    fake.script += [OK]
    scene = Scene(api, log)
    for revision in ("aaaa", "bbbb", "cccc"):
        scene.annotation.want(revision)
    with running(scene):
        assert patched(fake.requests.wait(1)[0]) == f"cccc@{AT}"
    assert len(fake.requests) == 1


def test_a_policy_that_has_just_come_is_not_published_yet(fake: FakeApi, api: Api, log: Any) -> None:
    now_s = 0.0
    scene = Scene(api, log, settle_s=5.0, clock=lambda: now_s)
    scene.annotation.want("aaaa")
    now_s = 4.0
    assert scene.annotation.step() == 1.0
    assert len(fake.requests) == 0


def test_where_the_node_has_it_already_nothing_is_sent(fake: FakeApi, api: Api, log: Any) -> None:
    """After a restart: the time stays that of the change."""
    scene = Scene(api, log, has="aaaa@2020-01-01T00:00:00Z")
    scene.annotation.want("aaaa")
    with running(scene):
        eventually(lambda: scene.asked, "a look at the Node")
    assert len(fake.requests) == 0


def test_while_the_node_is_not_known_it_waits(fake: FakeApi, api: Api, log: Any) -> None:
    scene = Scene(api, log, has=None)
    scene.annotation.want("aaaa")
    assert scene.annotation.step() == 1.0
    fake.script += [OK]
    scene.has = ""
    with running(scene):
        assert patched(fake.requests.wait(1)[0]) == f"aaaa@{AT}"


@pytest.mark.parametrize(
    "refusal", [status(403, "nodes is forbidden"), status(404, "no such Node"), status(503, "busy")]
)
def test_a_refusal_is_a_problem_until_it_works(
    fake: FakeApi, api: Api, log: Any, captured: LogCapture, refusal: Any
) -> None:
    fake.script += [refusal, refusal, OK]
    scene = Scene(api, log)
    scene.annotation.want("aaaa")
    assert scene.annotation.step()
    assert "PATCH /api/v1/nodes/n1" in scene.annotation.problem
    with running(scene):
        assert patched(fake.requests.wait(3)[2]) == f"aaaa@{AT}"
        eventually(lambda: not scene.annotation.problem, "no problem")
    assert len([e for e in captured.entries if e["event"] == "node_not_annotated"]) == 1


def test_without_the_right_it_asks_seldom(fake: FakeApi, api: Api, log: Any) -> None:
    fake.script += [status(403, "nodes is forbidden")]
    scene = Scene(api, log, timing=Timing())
    scene.annotation.want("aaaa")
    assert scene.annotation.step() == Timing().absent_s


def test_it_ends_though_nothing_was_wanted(fake: FakeApi, api: Api, log: Any) -> None:
    scene = Scene(api, log)
    with running(scene):
        pass
    assert not scene.annotation._thread.is_alive()


def test_a_bug_is_reported(fake: FakeApi, api: Api, log: Any) -> None:
    scene = Scene(api, log)
    scene.annotation._present = lambda: 1 // 0
    scene.annotation.want("aaaa")
    scene.annotation.start()
    eventually(lambda: scene.deaths, "the death")
    assert isinstance(scene.deaths[0], ZeroDivisionError)


def test_all_nodes_do_not_publish_a_new_policy_in_the_same_second(api: Api, log: Any) -> None:
    drawn: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return high

    annotation = NodeAnnotation(api, "n1", lambda: "", log, lambda error: None, uniform=uniform, clock=lambda: 0.0)
    annotation.want("aaaa")
    assert drawn == [(0.0, SPREAD_S)]
    assert annotation.step() == SETTLE_S + SPREAD_S
