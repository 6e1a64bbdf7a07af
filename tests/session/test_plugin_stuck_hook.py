"""A hook that overruns: the event is answered without it, and the next events are served meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from koordnri.hook import Hook
from koordnri.model import fields
from koordnri.model.resources import BASELINE_KEY
from koordnri.runtime import Runtime
from koordnri.session.registration import State
from koordnri.wire import api_pb2 as api
from koordnri.wire.connection import Reply
from tests.session.scripted_runtime import ScriptedRuntime
from tests.session.subject import (
    OLD,
    WAIT_S,
    Subject,
    connected,
    cpus_of,
    hook,
    pins,
)
from tests.support.messages import container, pod


class Stuck:
    """A hook that blocks on the containers that the test names, until released."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.entered, self.release = threading.Event(), threading.Event()
        self.hook = hook("stuck", 2, (fields.CPU_SHARES,), self._decide)

    def _decide(self, ctx: Any) -> None:
        if ctx.container.name in self.names:
            self.entered.set()
            assert self.release.wait(WAIT_S)
        ctx.set(fields.CPU_SHARES, 77, "a test")

    def __enter__(self) -> Stuck:
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()


def last_hook() -> Hook:
    return hook("last", 3, (fields.CPU_MEMS,), lambda ctx: ctx.set(fields.CPU_MEMS, "1", "a test"))


def shares_of(runtime: Runtime, container_id: str) -> int:
    return runtime.containers[container_id].spec.linux.resources.cpu.shares.value


def test_a_stuck_hook_costs_its_fields_and_the_next_event_is_served_meanwhile(tmp_path: Path) -> None:
    with (
        Stuck("c1") as stuck,
        connected(tmp_path, pins(), stuck.hook, last_hook(), timeout_s=2.0) as (runtime, subject),
    ):
        runtime.run_pod_sandbox(pod())
        runtime.create_container("p1", container("c1"))
        assert cpus_of(runtime, "c1") == "2-3"
        assert shares_of(runtime, "c1") == 0
        assert BASELINE_KEY in runtime.containers["c1"].spec.annotations
        # The hook is still stuck; nobody waits for it.
        assert not stuck.release.is_set()
        runtime.create_container("p1", container("c2"))
        second = runtime.containers["c2"].spec.linux.resources.cpu
        assert (second.cpus, second.mems, second.shares.value) == ("2-3", "1", 0)
        assert len(runtime.plugins) == 1
        assert subject.session.stats.events[("CreateContainer", "late")] == 1
        # Once it lets go, it is asked again.
        stuck.release.set()
        deadline = threading.Event()
        for attempt in range(200):
            name = f"again{attempt}"
            runtime.create_container("p1", container(name))
            if shares_of(runtime, name) == 77:
                break
            deadline.wait(0.01)
        else:
            pytest.fail("the hook is never asked again")


def test_an_early_answer_that_cannot_be_made_is_an_empty_one(tmp_path: Path) -> None:
    with (
        Stuck("c1") as stuck,
        connected(tmp_path, pins(), stuck.hook, timeout_s=2.0) as (runtime, subject),
    ):
        subject.handler.chain.answer_early = lambda ctx: [][0]  # type: ignore[method-assign]  # a bug, for one test
        runtime.run_pod_sandbox(pod())
        runtime.create_container("p1", container("c1"))
        assert BASELINE_KEY not in runtime.containers["c1"].spec.annotations
        assert len(runtime.plugins) == 1
        assert subject.handler.ledger.creating == ""
        stuck.release.set()
        runtime.create_container("p1", container("c2"))
        assert BASELINE_KEY in runtime.containers["c2"].spec.annotations


def test_a_runtime_that_goes_while_a_hook_is_stuck_does_not_end_the_session(tmp_path: Path) -> None:
    with (
        ScriptedRuntime(tmp_path / "nri") as runtime,
        Stuck("c1") as stuck,
        Subject(tmp_path / "nri", stuck.hook) as subject,
    ):
        link = runtime.accept()
        link.shake_hands()
        link.send("CreateContainer", api.CreateContainerRequest(pod=pod(), container=container("c1")))
        assert stuck.entered.wait(WAIT_S)
        link.close()
        # Nobody reads, so only the watchdog's answer finds out that there is nobody to answer to.
        runtime.accept().shake_hands()
        assert subject.failure is None


def test_a_stuck_hook_does_not_cost_the_registration_at_synchronize(tmp_path: Path) -> None:
    with Stuck("c1") as stuck, Runtime(tmp_path / "nri", OLD, request_timeout_s=2.0) as runtime:
        runtime.preload([pod()], [container("c1"), container("c2")])
        with Subject(tmp_path / "nri", pins(), stuck.hook) as subject:
            runtime.wait_for_plugin()
            runtime.create_container("p1", container("c3"))
            assert cpus_of(runtime, "c3") == "2-3"
            assert subject.session.state is State.SYNCHRONIZED
            stuck.release.set()


def test_a_slow_policy_is_not_answered_for_by_a_subscription_to_everything(tmp_path: Path) -> None:
    go_on = threading.Event()

    def slow(_: str) -> None:
        assert go_on.wait(WAIT_S)

    with ScriptedRuntime(tmp_path / "nri") as runtime, Subject(tmp_path / "nri", on_config=slow):
        link = runtime.accept()
        link.answer_registration()
        link.send("Configure", api.ConfigureRequest(config="x", request_timeout=200, runtime_name="containerd"))
        link.socket.settimeout(1.0)
        with pytest.raises(TimeoutError):
            link.next()
        go_on.set()
        reply = link.next()
        assert isinstance(reply, Reply)
        assert api.ConfigureResponse.FromString(reply.payload).events != 0


def test_what_was_asked_before_the_stop_is_answered(tmp_path: Path) -> None:
    with Stuck("c1") as stuck, connected(tmp_path, pins(), stuck.hook, timeout_s=40.0) as (runtime, subject):
        runtime.run_pod_sandbox(pod())
        create = threading.Thread(target=runtime.create_container, args=("p1", container("c1")))
        create.start()
        assert stuck.entered.wait(WAIT_S)
        subject.session.stop()
        stuck.release.set()
        create.join(WAIT_S)
        assert cpus_of(runtime, "c1") == "2-3"
        assert shares_of(runtime, "c1") == 77
        assert subject.ended()
