"""The picture of the rooms is true: it has the rooms that there are, and arrows that imports take."""

from __future__ import annotations

from pathlib import Path

from tools.rooms import imported_by


def test_imports_of_a_room_in_every_form(tmp_path: Path) -> None:
    (tmp_path / "room" / "inner").mkdir(parents=True)
    (tmp_path / "room" / "a.py").write_text("import os\nfrom koordnri.model import Pod\nfrom koordnri import chain\n")
    (tmp_path / "room" / "inner" / "b.py").write_text("def f():\n    import koordnri.kube.events\n")
    assert imported_by(tmp_path, "room") == {"model", "chain", "kube"}
