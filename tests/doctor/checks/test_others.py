"""Other programs."""

from __future__ import annotations

from dataclasses import replace

from koordnri.doctor.diagnose import diagnose
from tests.doctor.well import WELL


def test_other_agents_and_second_daemons() -> None:
    facts = replace(WELL, agents=("koordlet", "rubik"), koordnri_pids=(7, 9))
    assert [(f.code, f.object) for f in diagnose(facts)] == [
        ("KN0601", "koordlet"),
        ("KN0601", "rubik"),
        ("KN0602", "pids 7, 9"),
    ]
