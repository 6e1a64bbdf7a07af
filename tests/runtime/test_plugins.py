"""How an event reaches the plugins: who is asked, in which order, by which RPC."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from koordnri.runtime import CRIError, Runtime
from koordnri.wire import api_pb2 as api
from koordnri.wire.events import NRIEvent
from koordnri.wire.versions import Version
from tests.runtime.lives import DIRECT, LIFE, SINCE_0_10, connected, whole_life
from tests.runtime.scripted_plugin import ALL_OLD, Do, ScriptedPlugin, Status, adjusting
from tests.support.messages import container, pod


def test_only_subscribed_events_come(tmp_path: Path) -> None:
    events = NRIEvent.CREATE_CONTAINER.bit | NRIEvent.REMOVE_POD_SANDBOX.bit
    with connected(tmp_path, {}, events=events) as (runtime, (plugin,)):
        whole_life(runtime)
        assert plugin.methods() == ["CreateContainer", "RemovePodSandbox"]


def test_plugins_are_asked_in_the_order_of_their_indices(tmp_path: Path) -> None:
    with Runtime(tmp_path / "nri") as runtime, ExitStack() as stack:
        for nth, index in enumerate(["50", "05", "10"]):
            stack.enter_context(ScriptedPlugin(tmp_path / "nri", "p", index))
            runtime.wait_for_plugin(nth=nth + 1)
        runtime.run_pod_sandbox(pod())
        assert [c.plugin for c in runtime.calls] == ["05-p", "10-p", "50-p"]


def test_one_unimplemented_event_sends_all_nine_by_state_change(tmp_path: Path) -> None:
    script = {"StartContainer": Status(12, "method StartContainer")}
    with connected(tmp_path, script) as (runtime, (plugin,)):
        whole_life(runtime)
        after = [m if m in DIRECT else "StateChange" for m in LIFE[4:] if m not in SINCE_0_10]
        assert plugin.methods() == [*LIFE[:4], "StateChange", *after]


@pytest.mark.parametrize("method", ["CreateContainer", "UpdateContainer"])
def test_unimplemented_is_an_ordinary_error_of_the_others(tmp_path: Path, method: str) -> None:
    with connected(tmp_path, {method: Status(12, f"method {method}")}) as (runtime, _):
        with pytest.raises(CRIError, match=f"method {method}"):
            whole_life(runtime)
        assert len(runtime.plugins) == 1


@pytest.mark.parametrize("answer", [Status(2, "not today"), Status(14, "not today"), b"\xff"])
def test_an_error_fails_the_event_spares_later_plugins_and_keeps_the_connection(tmp_path: Path, answer: Any) -> None:
    with connected(tmp_path, {"CreateContainer": answer}, {}) as (runtime, (first, second)):
        runtime.run_pod_sandbox(pod())
        first.methods(), second.methods()
        with pytest.raises(
            CRIError,
            match=r"^CreateContainer: (rpc error: code = (Unknown|Unavailable) desc = not today|proto: cannot parse)",
        ):
            runtime.create_container("p1", container())
        assert runtime.containers == {}
        # containerd undoes what it had begun.
        assert first.methods() == ["CreateContainer", "StopContainer", "RemoveContainer"]
        assert second.methods() == ["StopContainer", "RemoveContainer"]
        first.answers["CreateContainer"] = None
        assert runtime.create_container("p1", container()).id == "c1"


def declaring(answer: Any, **policy: bool) -> dict[str, Any]:
    """A script that declares a failure policy, and answers creations so."""
    configured = api.ConfigureResponse(events=ALL_OLD, failure_policy=api.FailurePolicy(**policy))
    return {"Configure": configured, "CreateContainer": answer}


@pytest.mark.parametrize(
    ("answer", "policy", "error", "stays"),
    [
        (Do.NOTHING, {}, "", False),
        (Do.NOTHING, {"keep_connected": True}, "", True),
        (Do.NOTHING, {"fail_request": True}, "context deadline exceeded", False),
        (Do.NOTHING, {"fail_request": True, "keep_connected": True}, "context deadline exceeded", True),
        (Do.HANG_UP, {"keep_connected": True}, "", False),
        (Do.HANG_UP, {"fail_request": True, "keep_connected": True}, "ttrpc: closed", False),
    ],
)
def test_the_failure_policy_says_what_silence_costs(
    tmp_path: Path, answer: Do, policy: dict[str, bool], error: str, stays: bool
) -> None:
    with connected(tmp_path, declaring(answer, **policy), {"CreateContainer": adjusting()}, timeout_s=0.5) as (
        runtime,
        (_, second),
    ):
        runtime.run_pod_sandbox(pod())
        second.methods()
        if error:
            text = f"plugin 00-p0 failed to handle CreateContainer request: {error}$"
            with pytest.raises(CRIError, match=text):
                runtime.create_container("p1", container())
        else:
            runtime.create_container("p1", container())
        assert ("CreateContainer" in second.methods()) == (not error)
        assert [p.full_name for p in runtime.plugins] == (["00-p0", "01-p1"] if stays else ["01-p1"])


def test_a_closed_plugin_fails_no_further_request(tmp_path: Path) -> None:
    script = declaring(Do.HANG_UP, fail_request=True)
    with connected(tmp_path, script, {}) as (runtime, _):
        runtime.run_pod_sandbox(pod())
        with pytest.raises(CRIError, match="ttrpc: closed"):
            runtime.create_container("p1", container())
        assert runtime.create_container("p1", container()).id == "c1"


def test_before_0_12_4_the_failure_policy_is_not_known(tmp_path: Path) -> None:
    script = declaring(Do.NOTHING, fail_request=True, keep_connected=True)
    with connected(tmp_path, script, version=Version(0, 12, 3), timeout_s=0.5) as (runtime, _):
        runtime.run_pod_sandbox(pod())
        runtime.create_container("p1", container())
        assert runtime.plugins == ()
