"""All checks together: where all is well, and where nothing is known."""

from __future__ import annotations

from koordnri.doctor.diagnose import diagnose
from koordnri.doctor.facts import Facts
from tests.doctor.well import WELL


def test_a_node_where_all_is_well_has_no_findings() -> None:
    assert diagnose(WELL) == []


def test_where_nothing_is_known_only_that_is_reported() -> None:
    assert [finding.code for finding in diagnose(Facts())] == ["KN0112", "KN0901"]
