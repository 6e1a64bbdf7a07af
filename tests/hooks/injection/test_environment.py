"""Environment variables by annotation."""

from __future__ import annotations

import pytest

from koordnri.model import fields, injection
from koordnri.wire import api_pb2 as api
from tests.hooks.injection.one_injection import decide, mistake, other, sent, shown
from tests.hooks.one_hook import faults

KEY = injection.ENVIRONMENT.keys[0]


def test_variables_are_set() -> None:
    decision = decide({KEY: "COLOUR: green\nEMPTY: ''\nPORT: 80\n"})
    assert shown(decision) == {"injected.env[COLOUR]": "green", "injected.env[EMPTY]": "", "injected.env[PORT]": "80"}
    variables = [{"key": "COLOUR", "value": "green"}, {"key": "EMPTY"}, {"key": "PORT", "value": "80"}]
    assert sent(decision) == api.ContainerAdjustment(env=variables)


@pytest.mark.parametrize("name", ["", "-COLOUR", "A=B", "A\0B"])
def test_what_is_no_name_is_refused(name: str) -> None:
    assert mistake(KEY, {name: "x"}).startswith('expected names without "="')


def test_a_variable_of_another_hook_is_not_replaced() -> None:
    decision = decide({KEY: {"GPUS": "all"}}, before=[other(fields.ENV, "0", "GPUS")])
    assert faults(decision)[0][1].endswith('"GPUS" is set by the hook gpu (scheduler)')
