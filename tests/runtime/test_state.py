"""Pods and containers as plugins get them."""

import pytest

from koordnri.runtime.state import as_sent
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import Version
from tests.support.messages import container


@pytest.mark.parametrize(
    ("version", "hidden", "shown"),
    [
        (Version(0, 3, 0), ["rlimits", "created_at", "user", "image"], []),
        (Version(0, 8, 0), ["created_at", "user", "image"], ["rlimits"]),
        (Version(0, 12, 0), ["image"], ["rlimits", "created_at", "user"]),
        (Version(0, 12, 2), [], ["rlimits", "created_at", "user", "image"]),
    ],
)
def test_old_runtimes_report_less(version: Version, hidden: list[str], shown: list[str]) -> None:
    spec = container(rlimits=[api.POSIXRlimit(type="x")], created_at=1, user=api.User(uid=1), image=api.Image(name="i"))
    names = {field.name for field, _ in as_sent(spec, version).ListFields()}
    assert names.isdisjoint(hidden)
    assert names >= set(shown)
