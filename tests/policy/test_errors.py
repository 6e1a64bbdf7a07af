"""How a mistake is shown: short, printable, and with its path."""

import json

from koordnri.policy import Mistake
from tests.policy.documents import mistakes


def test_values_cannot_command_the_terminal_that_shows_them():
    assert mistakes(json.dumps({"cpu-burst-config": {"policy": "\x9b2Jé\u2028x"}})) == [
        'cpu-burst-config.policy: expected none, auto, cpuBurstOnly or cfsQuotaBurstOnly, got "\\x9b2Jé\\u2028x"'
    ]
    [line] = mistakes(
        json.dumps(
            {"host-application-config": {"applications": [{"name": "a", "cgroupPath": {"parentDir": "../\n" * 99}}]}}
        )
    )
    assert line.isprintable()
    assert len(line) < 300


def test_values_are_quoted_short_and_printable():
    [line] = mistakes(json.dumps({"cpu-burst-config": {"policy": "\ud800" + "x" * 10**6}}))
    assert line.encode("utf-8")
    assert len(line) < 200


def test_a_mistake_without_a_path_is_only_its_message():
    assert str(Mistake("", "broken")) == "broken"
    assert str(Mistake("a.b", "broken")) == "a.b: broken"
