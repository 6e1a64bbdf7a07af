"""Events as a session answers them (nri.md 3): by either transport, undecodable, with hooks that raise or refuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from koordnri.model import fields
from koordnri.model.resources import BASELINE_KEY
from koordnri.policy import load_policy, resolve
from koordnri.runtime import LATEST, CRIError, Runtime
from koordnri.session.answer import Answer
from koordnri.session.handler import EventHandler
from koordnri.wire import api_pb2 as api
from koordnri.wire.services import PLUGIN_METHODS
from koordnri.wire.versions import Version
from tests.session.scripted_runtime import METHODS, Link, Raw, ScriptedRuntime
from tests.session.subject import (
    OLD,
    Subject,
    connected,
    cpus_of,
    hook,
    pins,
)
from tests.support.messages import container, pod


@pytest.mark.parametrize("version", [OLD, Version(0, 8, 0), Version(0, 11, 0), LATEST], ids=str)
def test_events_have_the_same_effect_by_either_transport(tmp_path: Path, version: Version) -> None:
    with connected(tmp_path, pins(), version=version) as (runtime, subject):
        runtime.run_pod_sandbox(pod())
        state = runtime.create_container("p1", container())
        assert subject.ledger.pod("p1") is not None
        assert state.spec.linux.resources.cpu.cpus == "2-3"
        assert BASELINE_KEY in state.spec.annotations
        runtime.start_container("c1")
        runtime.update_container("c1", api.LinuxResources(cpu=api.LinuxCPU(cpus="7")))
        assert cpus_of(runtime) == "2-3"
        assert subject.ledger.container("c1") is not None
        runtime.remove_container("c1")
        runtime.run_pod_sandbox(pod("p2"))  # the one before is settled by now
        assert subject.ledger.container("c1") is None
        runtime.remove_pod_sandbox("p1")
        runtime.remove_pod_sandbox("p2")
        runtime.run_pod_sandbox(pod("p3"))
        assert subject.ledger.pod("p1") is None
        assert [c.error for c in runtime.calls if c.error] == []
        counted = {event for event, outcome in subject.session.stats.events if outcome == "ok"}
        assert counted >= {"RunPodSandbox", "CreateContainer", "UpdateContainer", "RemoveContainer", "RemovePodSandbox"}


@pytest.fixture
def linked(tmp_path: Path) -> Iterator[tuple[Link, Subject]]:
    with ScriptedRuntime(tmp_path / "nri") as runtime, Subject(tmp_path / "nri", pins()) as subject:
        link = runtime.accept()
        link.shake_hands()
        yield link, subject


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_the_protocol_is_answered_well(linked: tuple[Link, Subject], method: str) -> None:
    link, _ = linked
    reply = link.call(method, PLUGIN_METHODS[method].request())
    assert (reply.code, reply.text) == (0, "")


@pytest.mark.parametrize("event", [0, 12, 13, 14, 15, 99])
def test_an_unknown_state_change_is_answered_well(linked: tuple[Link, Subject], event: int) -> None:
    link, _ = linked
    reply = link.call("StateChange", api.StateChangeEvent(event=event, pod=pod()))
    assert (reply.code, reply.payload) == (0, b"")


def test_nothing_to_say_is_sent_as_no_bytes(linked: tuple[Link, Subject]) -> None:
    link, _ = linked
    assert link.call("RunPodSandbox", api.RunPodSandboxRequest(pod=pod())).payload == b""


@pytest.mark.parametrize("method", ["CreateContainer", "UpdateContainer", "StateChange", "RunPodSandbox"])
def test_an_undecodable_request_costs_that_request_only(linked: tuple[Link, Subject], method: str) -> None:
    link, subject = linked
    reply = link.call(method, Raw(b"\xff\xff"))
    assert reply.code == 3
    assert reply.text.startswith(f"{method}: cannot decode 2 bytes")
    assert subject.log.wait_for("undecodable_request")["method"] == method
    response = link.call("CreateContainer", api.CreateContainerRequest(pod=pod(), container=container()))
    assert api.CreateContainerResponse.FromString(response.payload).adjust.linux.resources.cpu.cpus == "2-3"
    assert subject.session.stats.events[(method, "undecodable")] == 1


class Broken(EventHandler):
    """Has a bug."""

    def handle(self, method: str, payload: bytes) -> Answer:
        if method == "CreateContainer":
            raise RuntimeError("a bug")
        return super().handle(method, payload)


def test_a_bug_costs_no_container(tmp_path: Path) -> None:
    with connected(tmp_path, pins(), handler=Broken) as (runtime, subject):
        runtime.run_pod_sandbox(pod())
        state = runtime.create_container("p1", container())
        assert state.adjust == api.ContainerAdjustment()
        assert subject.log.wait_for("event_failed") == {
            "method": "CreateContainer",
            "error": "RuntimeError: a bug",
            "exc_info": True,
        }
        runtime.remove_container("c1")
        assert subject.session.stats.events[("CreateContainer", "error")] == 1
        assert len(runtime.plugins) == 1


def test_a_hook_that_raises_costs_its_own_fields(tmp_path: Path) -> None:
    def fail(ctx: Any) -> None:
        raise ValueError("a bug")

    with connected(tmp_path, pins(), hook("broken", 2, (fields.CPU_SHARES,), fail)) as (runtime, _):
        runtime.run_pod_sandbox(pod())
        runtime.create_container("p1", container())
        assert cpus_of(runtime) == "2-3"


def test_a_hook_with_the_policy_fail_refuses_the_container(tmp_path: Path) -> None:
    def fail(ctx: Any) -> None:
        raise ValueError("no GPU left")

    document = load_policy(
        'koordnri-config: \'{"clusterStrategy":{"hooks":{"strict":{"failurePolicy":"fail"}}}}\'', "a test"
    )
    strict = hook("strict", 2, (fields.CPU_SHARES,), fail)
    with connected(tmp_path, pins(), strict, policy=resolve(document, "node", {})) as (runtime, subject):
        runtime.run_pod_sandbox(pod())
        with pytest.raises(CRIError, match=r"koordnri: hook strict could not decide: .*no GPU left"):
            runtime.create_container("p1", container())
        assert runtime.containers == {}
        assert len(runtime.plugins) == 1
        runtime.run_pod_sandbox(pod("p2"))
        assert subject.session.stats.events[("CreateContainer", "refused")] == 1


def test_zero_is_set_and_not_left_out(tmp_path: Path) -> None:
    def zero(ctx: Any) -> None:
        ctx.set(fields.OOM_SCORE_ADJ, 0, "a test")
        ctx.set(fields.CPU_QUOTA, 0, "a test")

    zeros = hook("zeros", 1, (fields.OOM_SCORE_ADJ, fields.CPU_QUOTA), zero)
    with connected(tmp_path, zeros) as (runtime, _):
        runtime.run_pod_sandbox(pod())
        adjust = runtime.create_container("p1", container()).adjust
        assert adjust.linux.HasField("oom_score_adj")
        assert adjust.linux.resources.cpu.HasField("quota")
        assert not adjust.linux.resources.cpu.HasField("period")


def test_frames_in_single_bytes_are_frames(tmp_path: Path) -> None:
    with Runtime(tmp_path / "nri") as runtime:
        runtime.faults.trickle = True
        with Subject(tmp_path / "nri", pins()):
            runtime.wait_for_plugin()
            runtime.run_pod_sandbox(pod())
            runtime.create_container("p1", container())
            assert cpus_of(runtime) == "2-3"
