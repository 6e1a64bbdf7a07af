"""By which route changes are recorded, and what happens when one is turned off."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import CapturingLogger

from koordnri.cpus.allocator import Allocator
from koordnri.daemon.config import Config
from koordnri.daemon.node_facts import ReportedFacts
from koordnri.daemon.recording import Recording
from koordnri.model import NodeState
from koordnri.policy import load_policy
from koordnri.reconcile.recorder import AUTO, REPLY, RESYNC, UNSOLICITED
from koordnri.session.calls import Calls
from koordnri.session.identity import Identity
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.state.present import Present
from koordnri.wire.versions import Version
from tests.daemon.sent_events import SentEvents

SAFE = RuntimeInfo("containerd", "v2.3.0", Version(0, 12, 1))


def recording(policy: str = "", **config: Any) -> tuple[Recording, ReportedFacts, SentEvents]:
    document = load_policy(policy, "test") if policy else None
    log, facts, events = CapturingLogger(), ReportedFacts(None, None), SentEvents([])
    present = Present(NodeState(), None, lambda: document, lambda node: node, Allocator(), log)
    present.take()
    return Recording(Config(**config), present, facts, Calls(), events, log), facts, events


@pytest.mark.parametrize(
    ("asked", "policy", "route"),
    [
        (None, "", UNSOLICITED),
        (AUTO, "", UNSOLICITED),
        (None, "koordnri-config: {recordRoute: resync}", RESYNC),
        (REPLY, "koordnri-config: {recordRoute: resync}", REPLY),
    ],
)
def test_the_command_line_comes_before_the_policy_and_that_before_the_runtime(
    asked: str | None, policy: str, route: str
) -> None:
    it, facts, _ = recording(policy, record_route=asked)
    facts.runtime = SAFE
    assert it.preferred() == route


def test_a_runtime_for_which_no_push_is_safe_is_updated_in_replies() -> None:
    it, _, _ = recording()
    assert it.preferred() == REPLY


@pytest.mark.parametrize(
    ("identity", "routes"),
    [(Identity("koordnri", "10"), {UNSOLICITED, RESYNC}), (Identity("koordnri", "10", fd=3), {UNSOLICITED})],
)
def test_a_plugin_that_the_runtime_launched_makes_no_connection_of_its_own(
    identity: Identity, routes: set[str]
) -> None:
    it, _, _ = recording(identity=identity)
    assert it.pushes.keys() == routes


def test_a_route_that_is_turned_off_is_an_event_on_the_node() -> None:
    it, _, events = recording()
    it.off(UNSOLICITED, "it took too long")
    reason = "changes are no longer recorded by unsolicited, until koordnri restarts: it took too long"
    assert events.of_node == [("RecordRouteOff", reason)]
