"""docs/use/status.md explains every kind of violation."""

from __future__ import annotations

import re
from pathlib import Path

from koordnri.answers.violations import KINDS

PAGE = Path(__file__).parents[2] / "docs/use/status.md"


def test_the_page_has_a_row_for_every_kind_in_their_order() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text().split("## Violations")[1], re.MULTILINE)
    assert rows == list(KINDS)
