"""A creation that waits for its pod's files does not wait for a pass over all pods."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from koordnri.model import Pod
from koordnri.reconcile.writing import Done
from tests.reconcile.fake_node import HALVED, FakeNode, place_of
from tests.support.waiting import eventually

PATIENCE_S = 30.0
SPARED = {"cpu_normalization_config": {"enable": False}}


class Creation:
    """A thread that waits for a pod's files, from the moment at which a pass reads a file below `at`."""

    def __init__(self, node: FakeNode, pod: Pod, at: str, before: Callable[[], None] = lambda: None) -> None:
        self._node, self._pod, self._at, self._before = node, pod, at, before
        self._read = node.kernel.read
        self.thread: threading.Thread | None = None
        self.error = ""
        self.hurried: list[bool] = []
        """whether the reconciler knew that somebody waits, in each pass for it"""
        node.kernel.read = self.read  # type: ignore[method-assign]

    def read(self, path: str) -> str:
        if self.thread is None and f"/{self._at}/" in path:
            self._before()
            self.thread = threading.Thread(target=self._wait)
            self.thread.start()
            eventually(lambda: not self._node.requests._urgent.empty(), "the creation to ask")
        return self._read(path)

    def _wait(self) -> None:
        try:
            self._node.requests._ask([self._pod], PATIENCE_S, self._node.requests._urgent)
        except TimeoutError as error:
            self.error = str(error)

    def end(self) -> None:
        """Wait until it has its answer."""
        assert self.thread is not None, "no pass read that file"
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()


def pods_on(node: FakeNode, *names: str) -> dict[str, Pod]:
    node.set_policy(**SPARED)
    pods = {name: node.pod(name, "LS", cpu_quota=100_000) for name in names}
    for pod in pods.values():
        node.container(pod, cpu_quota=100_000)
        node.ledger.started(node.ledger.containers_of(pod.id)[0])
    node.run_pass()
    node.kernel.log.clear()
    node.set_policy(**HALVED)
    return pods


def quota(node: FakeNode, pod: Pod) -> int | None:
    return node.kernel.cgroups[place_of(pod, f"{pod.name}-main")].quota


@pytest.mark.parametrize("trigger", ["change", "sweep", "drift"])
@pytest.mark.parametrize("version", [1, 2])
def test_it_is_answered_before_the_others_are_written(version: int, trigger: str) -> None:
    node = FakeNode(version)
    pods = pods_on(node, "a", "b", "made")
    creation = Creation(node, pods["made"], "a")
    apply = node.reconciler._passes.run

    def run(trigger: str, *args: Any, **kwargs: Any) -> list[Done]:
        if trigger == "asked":
            creation.hurried.append(node.requests.waited_for)
        return apply(trigger, *args, **kwargs)

    node.reconciler._passes.run = run  # type: ignore[method-assign, assignment]
    node.run_pass(trigger)
    creation.end()
    assert not node.requests.waited_for
    assert creation.hurried == [True], "the pass for it takes no pauses"
    order = [path.split("/")[2] for path, _ in node.kernel.log]
    assert set(order[: order.count("made")]) == {"made"}, order
    assert creation.error == ""
    assert [quota(node, pod) for pod in pods.values()] == [50_000] * 3
    assert set(node.reconciler._schedule._pods) == {pods["made"].id}, "what is above it is looked at soon"


def test_an_older_plan_of_the_pass_is_not_written_afterwards() -> None:
    node = FakeNode(1)
    pods = pods_on(node, "made", "a", "b")
    creation = Creation(node, pods["made"], "a", before=lambda: node.set_policy(**SPARED))
    node.run_pass()
    creation.end()
    assert [quota(node, pods[name]) for name in ("made", "a", "b")] == [100_000, 50_000, 50_000]
    node.run_pass()
    assert [quota(node, pod) for pod in pods.values()] == [100_000] * 3


def test_a_question_of_a_person_waits_for_the_pass() -> None:
    node = FakeNode(1)
    pods = pods_on(node, "a", "b")
    asked = threading.Thread(target=lambda: node.requests.ask([pods["b"]], PATIENCE_S))
    asked.start()
    eventually(lambda: not node.requests._questions.empty(), "somebody to ask")
    node.run_pass()
    assert asked.is_alive()
    node.reconciler._answer()
    asked.join(PATIENCE_S)
    assert not asked.is_alive()


def test_a_bug_in_it_costs_the_creation_its_answer_and_not_the_pass() -> None:
    node = FakeNode(1)
    pods = pods_on(node, "a", "made")
    apply = node.reconciler._passes.run

    def run(trigger: str, *args: Any, **kwargs: Any) -> list[Done]:
        if trigger == "asked":
            raise KeyError("bug")
        return apply(trigger, *args, **kwargs)

    node.reconciler._passes.run = run  # type: ignore[method-assign, assignment]
    creation = Creation(node, pods["made"], "a")
    node.run_pass()
    creation.end()
    assert "its pass failed" in creation.error
    assert quota(node, pods["a"]) == 50_000
    assert pods["made"].id in node.reconciler._schedule._pods
