"""The plugins' answers to one request, and the validators who may refuse them."""

from pathlib import Path
from typing import Any

import pytest

from koordnri.runtime import CRIError
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import NEWEST, Version
from tests.runtime.lives import ENV, connected
from tests.runtime.scripted_plugin import Do, Status
from tests.support.messages import container, pod


def test_validators_see_the_merged_result_and_who_made_it(tmp_path: Path) -> None:
    with connected(tmp_path, {"CreateContainer": ENV}, {}, events=0x3FFF) as (runtime, (_, second)):
        runtime.run_pod_sandbox(pod())
        runtime.create_container("p1", container(env=["B=2"]))
        request = second.expect("ValidateContainerAdjustment")
    assert request.container.env == ["B=2"]
    assert [(e.key, e.value) for e in request.adjust.env] == [("A", "1")]
    assert request.owners.owners["c1"].compound[api.Env].owners["A"] == "00-p0"
    assert [(p.index, p.name) for p in request.plugins] == [("00", "p0"), ("01", "p1")]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            api.ValidateContainerAdjustmentResponse(reject=True, reason="too much"),
            'validator "00-p0" rejected container adjustment, reason: too much',
        ),
        (Status(2, "broken"), "validator plugin 00-p0 failed: rpc error: code = Unknown desc = broken"),
        (Do.NOTHING, "validator plugin 00-p0 failed: context deadline exceeded"),
    ],
)
def test_a_validator_that_does_not_agree_fails_the_container(tmp_path: Path, answer: Any, text: str) -> None:
    script = {"ValidateContainerAdjustment": answer}
    with connected(tmp_path, script, events=0x3FFF, timeout_s=2.0) as (runtime, _):
        runtime.run_pod_sandbox(pod())
        with pytest.raises(CRIError, match=text):
            runtime.create_container("p1", container())


@pytest.mark.parametrize(("version", "refused"), [(Version(0, 12, 4), True), (NEWEST, False)])
def test_a_validator_that_is_gone_is_no_longer_asked_from_0_12_5_on(
    tmp_path: Path, version: Version, refused: bool
) -> None:
    script = {"CreateContainer": Do.HANG_UP}
    with connected(tmp_path, script, {}, events=0x3FFF, version=version) as (runtime, (_, second)):
        runtime.run_pod_sandbox(pod())
        if refused:
            with pytest.raises(CRIError, match="validator plugin 00-p0 failed: ttrpc: closed"):
                runtime.create_container("p1", container())
            return
        runtime.create_container("p1", container())
        asked = second.expect("ValidateContainerAdjustment").plugins
    # It was there when its turn to adjust came.
    assert [p.name for p in asked] == ["p0", "p1"]
