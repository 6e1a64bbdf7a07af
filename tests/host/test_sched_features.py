"""The scheduler's features as the kernel lists them."""

from __future__ import annotations

from pathlib import Path

from koordnri.host.files import HostFiles
from koordnri.host.sched_features import read_sched_features


def test_the_names_are_read_whether_on_or_off(tmp_path: Path) -> None:
    assert read_sched_features(HostFiles(tmp_path)) is None
    file = tmp_path / "sys/kernel/debug/sched/features"
    file.parent.mkdir(parents=True)
    file.write_text("PLACE_LAG NO_NEXT_BUDDY NONTASK_CAPACITY \n")
    assert read_sched_features(HostFiles(tmp_path)) == {"PLACE_LAG", "NEXT_BUDDY", "NONTASK_CAPACITY"}
