"""Annotations of the container itself, by annotation of its pod."""

from __future__ import annotations

import pytest

from koordnri.model import injection
from koordnri.model.resources import BASELINE_KEY
from koordnri.wire import api_pb2 as api
from tests.hooks.injection.one_injection import decide, mistake, sent, shown

KEY = injection.ANNOTATIONS.keys[0]


def test_annotations_are_set() -> None:
    decision = decide({KEY: {"example.com/a": "b"}})
    assert shown(decision) == {"injected.annotation[example.com/a]": "b"}
    assert sent(decision) == api.ContainerAdjustment(annotations={"example.com/a": "b"})


@pytest.mark.parametrize("key", ["", "-a", BASELINE_KEY])
def test_what_would_take_something_away_is_refused(key: str) -> None:
    assert mistake(KEY, {key: "x"}).startswith('expected keys without "-"')
