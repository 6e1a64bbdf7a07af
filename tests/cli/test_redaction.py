"""What must not leave the node does not, whatever shape it comes in; what is needed to understand a decision stays."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.cli.redaction import LEFT_OUT, redacted, redacted_log, redacted_text

SECRET = "planted-Va1ue"
TOKEN = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "value",
    [
        {"fields": {"env[KEY]": {"value": SECRET, "asked": SECRET, "kernel": SECRET, "hook": "gpu"}}},
        {"fields": {"env[KEY]": f"{SECRET} (gpu: by annotation)"}},
        {"restart": {"env[KEY]": {"now": SECRET, "value": SECRET, "certain": True}}},
        {"field": "env[KEY]", "old": SECRET, "new": SECRET, "cause": "creation"},
        {"name": "env[KEY]", "before": SECRET, "after": [SECRET]},
        {"env": {"KEY": SECRET}},
        {"env": [f"KEY={SECRET}"]},
        {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"env": SECRET})}},
        {"annotations": {"vendor.example/koordinator.sh": SECRET, "notkoordinator.sh/x": SECRET}},
        {"message": f"password={SECRET}"},
        {"message": f'{{"token": "{SECRET}"}}'},
        {"message": f"Authorization: Bearer {SECRET}"},
        {"message": f"https://user:{SECRET}@registry.example/x"},
        {"message": f"env[KEY] = {SECRET}"},
        [[{"deep": {"text": f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----"}}]],
    ],
)
def test_no_secret_stays(value: Any) -> None:
    assert SECRET not in json.dumps(redacted(value))


def test_a_token_is_known_by_its_form() -> None:
    assert redacted_text(f"got {TOKEN} here") == f"got {LEFT_OUT} here"


@pytest.mark.parametrize(
    "value",
    [
        {"fields": {"cpu.shares": {"value": 1024, "asked": 2, "hook": "cfs_quota", "reason": "by batch-cpu"}}},
        {"field": "memory.high", "old": 1, "new": 2},
        {
            "annotations": {
                "koordinator.sh/cpuBurst": "{}",
                "node.koordinator.sh/reservation": "{}",
                "koordnri.sh/policy": "1",
            }
        },
        {"name": "web-0", "value": "0-3", "labels": {"environment": "prod"}, "environment": "x"},
        {"fields": {"env[KEY]": {"value": None, "hook": "gpu", "reason": "minor 0", "route": "adjust"}}},
        "runtime: not connected; see https://example.org/a:b",
        [1, None, True, 1.5],
    ],
)
def test_what_explains_a_decision_stays(value: Any) -> None:
    assert redacted(value) == value


def test_of_a_variable_hook_and_reason_stay() -> None:
    field = {"value": SECRET, "hook": "gpu", "reason": "minor 0", "route": "adjust"}
    assert redacted({"env[KEY]": field}) == {"env[KEY]": field | {"value": LEFT_OUT}}


def test_lines_of_a_log_are_read_as_json_after_the_runtimes_time_stamp() -> None:
    line = json.dumps({"event": "decided", "fields": {"cpu.shares": "2", "env[A]": SECRET}})
    text = f"2026-11-29T11:00:00Z stderr F {line}\nplain env[B]={SECRET}\n{line[:40]}"
    kept = redacted_log(text)
    assert SECRET not in kept
    assert '"cpu.shares": "2"' in kept
    assert kept.startswith("2026-11-29T11:00:00Z stderr F {")
    assert len(kept.splitlines()) == 3


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_json_keeps_its_keys(value: Any) -> None:
    kept = redacted(value)
    assert type(kept) is type(value)
    if isinstance(value, dict):
        assert kept.keys() == value.keys()
