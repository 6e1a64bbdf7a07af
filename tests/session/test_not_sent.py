"""What a runtime would drop from an adjustment, by its NRI version."""

from __future__ import annotations

import pytest

from koordnri.model import NodeState, fields
from koordnri.model.routes import ADJUST, Refusal
from koordnri.session.not_sent import not_sent
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.wire.versions import Version


@pytest.mark.parametrize(
    ("nri", "field", "is_sent"),
    [
        (Version(0, 3, 0), fields.RLIMIT, False),
        (Version(0, 4, 0), fields.RLIMIT, True),
        (Version(0, 9, 0), fields.IO_PRIORITY, False),
        (Version(0, 10, 0), fields.IO_PRIORITY, True),
        # Its adaptation assigns to a nil map, which ends the runtime.
        (Version(0, 11, 0), fields.SYSCTL, False),
        (Version(0, 12, 0), fields.SYSCTL, True),
        (Version(0, 11, 0), fields.SCHEDULER, True),
        (Version(0, 11, 0), fields.MEMORY_POLICY, False),
        (Version(0, 12, 0), fields.MEMORY_POLICY, True),
    ],
)
def test_a_field_is_sent_from_its_version_on(nri: Version, field: fields.Field, is_sent: bool) -> None:
    missing = not_sent(RuntimeInfo("containerd", "1.7.2", nri))
    assert (field not in missing) is is_sent
    route = NodeState(not_sent=missing).create_routes[field]
    assert route == (ADJUST if is_sent else missing[field])
    assert isinstance(route, Refusal) is not is_sent


def test_the_reason_names_the_runtime_and_what_is_needed() -> None:
    missing = not_sent(RuntimeInfo("containerd", "1.7.2", Version(0, 3, 0)))
    assert missing[fields.RLIMIT] == "containerd 1.7.2 has NRI 0.3.0, and rlimit needs 0.4.0"
