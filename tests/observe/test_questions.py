"""Questions over HTTP: parameters are checked, and what goes wrong says so."""

import json
from email.message import Message
from typing import Any

import pytest

from koordnri.observe.http import HTTPRequest
from koordnri.observe.questions import BadQuestion, NotHere, Parameters, checked, pages_of


def echo(parameters: Parameters) -> Any:
    return dict(checked(parameters, {"a"}, {"pod"}))


def gone(parameters: Parameters) -> Any:
    raise NotHere("no pod")


def late(parameters: Parameters) -> Any:
    raise TimeoutError("too late")


def ask(name: str, query: str) -> tuple[int, Any]:
    pages = pages_of({"echo": echo, "gone": gone, "late": late})
    answer = pages[f"/v1/{name}"]["GET"](HTTPRequest(Message(), b"", query))
    assert answer.content_type == "application/json"
    return answer.status, json.loads(answer.body)


def test_parameters_arrive_decoded() -> None:
    assert ask("echo", "pod=shop%2Fweb-0&a=") == (200, {"pod": "shop/web-0", "a": ""})


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("pod=x&b=1", 'unknown parameter "b"; there are a, pod'),
        ("", 'expected the parameter "pod"'),
        ("pod=x&pod=y", "expected each parameter once"),
        ("pod", "expected NAME=VALUE&NAME=VALUE…: bad query field: 'pod'"),
        ("&".join(f"p{i}=1" for i in range(40)), "expected NAME=VALUE&NAME=VALUE…: Max number of fields exceeded"),
    ],
)
def test_a_malformed_question_is_answered_with_what_was_expected(query: str, error: str) -> None:
    assert ask("echo", query) == (400, {"error": error})


def test_what_is_not_here_and_what_is_late_have_their_status() -> None:
    assert ask("gone", "") == (404, {"error": "no pod"})
    assert ask("late", "") == (503, {"error": "too late"})


def test_a_question_without_parameters_takes_none() -> None:
    with pytest.raises(BadQuestion, match='unknown parameter "x"; there are none'):
        checked({"x": "1"})
