"""Findings of one reading: all of them, but never a flood."""

import json

import pytest

from koordnri.policy import PolicyError, load_policy
from tests.policy.documents import mistakes, warnings


def test_all_mistakes_of_all_keys_are_reported_at_once():
    text = "cpu-burst-config: {policy: x}\nresource-qos-config: '{'\nsystem-config: {memcgReapBackGround: 2}"
    with pytest.raises(PolicyError) as refused:
        load_policy(text, "test")
    assert [m.path for m in refused.value.mistakes] == [
        "cpu-burst-config.policy",
        "resource-qos-config",
        "system-config.memcgReapBackGround",
    ]
    assert str(refused.value).splitlines()[2] == "system-config.memcgReapBackGround: expected 0..1, got 2"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({f"cpu-burst-confi{i}": "{}" for i in range(30_000)}, id="keys"),
        pytest.param({"cpu-burst-config": {f"polic{i}" + "y" * 300: 1 for i in range(3000)}}, id="fields"),
        pytest.param(
            {
                "cpu-burst-config": {
                    "nodeStrategies": [{"name": "n" * 300, "nodeSelector": {"matchLabels": {"a": "b"}}}] * 2500
                }
            },
            id="strategies",
        ),
    ],
)
def test_of_a_flood_of_warnings_a_hundred_short_ones_are_kept(data):
    lines = warnings(json.dumps(data))
    assert len(lines) == 101
    assert max(map(len, lines)) < 1000


def test_a_flood_of_mistakes_is_cut_short():
    lines = mistakes(json.dumps({"koordnri-config": {f"x{i}": i for i in range(5000)}}))
    assert len(lines) == 101
    assert lines[-1] == "and 4900 more mistakes"
