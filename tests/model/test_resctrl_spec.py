"""The annotation by which a pod asks for cache ways and bandwidth."""

from __future__ import annotations

import json
from typing import Any

import pytest

from koordnri.model import AnnotationError
from koordnri.model.resctrl_spec import RESCTRL
from koordnri.model.schemata import GroupWish
from tests.support.pods import pod


def wish(asked: dict[str, Any]) -> GroupWish:
    spec = RESCTRL.of(pod(annotations={RESCTRL.key: json.dumps(asked)}))
    assert spec is not None
    return spec.wish


def test_a_value_for_all_caches_and_others_by_id() -> None:
    asked = {
        "llc": {"schemata": {"range": [0, 50]}, "schemataPerCache": [{"cacheID": 1, "range": [20, 80]}]},
        "l2": {"schemataPerCache": [{"cacheID": 0, "range": [0, 10]}]},
        "mb": {"schemata": {"percent": 20}, "schemataPerCache": [{"cacheID": 1, "percent": 30}]},
    }
    assert wish(asked) == GroupWish((0, 50), {1: (20, 80)}, None, {0: (0, 10)}, 20, {1: 30})


def test_what_is_absent_is_not_limited() -> None:
    assert wish({}) == wish({"llc": {}}) == GroupWish()


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"llc": {"schemata": {"range": [50, 50]}}}, "end is above its start"),
        ({"llc": {"schemata": {"range": [0, 101]}}}, "<= 100"),
        ({"mb": {"schemata": {"percent": 0}}}, ">= 1"),
        (
            {"mb": {"schemataPerCache": [{"cacheID": 1, "percent": 30}, {"cacheID": 1, "percent": 40}]}},
            "expected each cacheID once in schemataPerCache, got 1 again",
        ),
    ],
)
def test_a_mistake_is_named(asked: dict[str, Any], problem: str) -> None:
    with pytest.raises(AnnotationError, match=problem):
        wish(asked)
