"""Changes, sorted for the writer."""

from __future__ import annotations

from koordnri.host.cgroup.change import by_level
from koordnri.model import fields
from tests.host.cgroup.one_writer import C1, C2, POD, TOP, change


def test_levels_are_reported_by_depth() -> None:
    changes = [change(path, fields.CPU_QUOTA, 1) for path in (C1, TOP, C2, POD)]
    assert [[c.directory for c in level] for level in by_level(changes)] == [[TOP], [POD], [C1, C2]]
