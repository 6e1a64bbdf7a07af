"""What the runtime is to do while we do not answer: declared at registration, as the policy has it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from koordnri.chain import Snapshot
from koordnri.model import NodeState, fields
from koordnri.policy import DEFAULT_POLICY
from koordnri.runtime import LATEST, CRIError, Runtime
from koordnri.session.handler import EventHandler
from koordnri.wire.versions import Version
from tests.session.subject import WAIT_S, Subject, connected, hook, pins
from tests.support.messages import container, pod
from tests.support.policies import policy_of
from tests.support.waiting import eventually

MUST = policy_of(koordnri_config={"hooks": {"pins": {"failurePolicy": "fail"}}})
OBSERVED = policy_of(koordnri_config={"hooks": {"pins": {"failurePolicy": "fail", "mode": "observe"}}})


@pytest.mark.parametrize(
    ("version", "policy", "declared"),
    [
        (LATEST, MUST, True),
        (LATEST, OBSERVED, False),
        (LATEST, DEFAULT_POLICY, False),
        (Version(0, 12, 4), MUST, True),
        (Version(0, 12, 3), MUST, False),
    ],
)
def test_it_is_declared_where_a_hook_must_decide_and_the_runtime_knows_it(
    tmp_path: Path, version: Version, policy: Any, declared: bool
) -> None:
    with connected(tmp_path, pins(), version=version, policy=policy) as (runtime, subject):
        (peer,) = runtime.plugins
        assert (peer.failure_policy.fail_request, peer.failure_policy.keep_connected) == (declared, declared)
        assert peer.nri_version == "v0.12.5"
        assert subject.session.registration.fails_unanswered == declared


def test_another_policy_registers_again_to_declare_it(tmp_path: Path) -> None:
    with connected(tmp_path, pins()) as (runtime, subject):
        for nth, policy, declared in ((2, MUST, True), (3, DEFAULT_POLICY, False)):
            subject.handler.snapshot = Snapshot.of(policy, NodeState())
            assert runtime.wait_for_plugin(nth=nth).failure_policy.fail_request == declared
        assert subject.log.wait_for("connection_lost")["reason"].startswith("the policy asks for another failure")


def test_an_old_runtime_is_not_registered_with_again(tmp_path: Path) -> None:
    with connected(tmp_path, pins(), version=Version(0, 12, 3)) as (runtime, subject):
        subject.handler.snapshot = Snapshot.of(MUST, NodeState())
        assert not subject.session._responder.must_register_again()
        assert len(runtime.plugins) == 1


class Hangs(EventHandler):
    """Never answers early, as a process that does not run at all."""

    def budget_s(self) -> float:
        return 60.0


@pytest.mark.parametrize("name", ["containerd", "cri-o"])
def test_a_hanging_daemon_has_containers_refused_and_serves_the_next_on_the_same_connection(
    tmp_path: Path, name: str
) -> None:
    entered, release = threading.Event(), threading.Event()

    def block(ctx: Any) -> None:
        if ctx.container.id == "c1":
            entered.set()
            assert release.wait(WAIT_S)
        ctx.set(fields.CPU_CPUS, "2-3", "a test")

    with (
        Runtime(tmp_path / "nri", LATEST, name, request_timeout_s=0.5) as runtime,
        Subject(tmp_path / "nri", hook("pins", 1, (fields.CPU_CPUS,), block), policy=MUST, handler=Hangs) as subject,
    ):
        runtime.wait_for_plugin()
        runtime.run_pod_sandbox(pod())
        try:
            with pytest.raises(CRIError, match="plugin 10-koordnri failed to handle CreateContainer request"):
                runtime.create_container("p1", container("c1"))
            assert entered.is_set()
        finally:
            release.set()
        # kubelet tries again, with another id and the same name.
        again = container("c2", name="c1")
        assert runtime.create_container("p1", again).spec.linux.resources.cpu.cpus == "2-3"
        assert (runtime.registrations, subject.session.stats.connections_lost) == (1, 0)
        eventually(
            lambda: [e.id for e in subject.ledger.containers_of("p1") if not e.ended] == ["c2"],
            "only the container that exists",
        )
