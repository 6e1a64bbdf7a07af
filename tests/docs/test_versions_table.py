"""The tables of docs/reference/nri.md 2.4 are what tools/versions_table.py makes of the version data."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from koordnri.session.runtime_info import RuntimeInfo
from koordnri.wire.versions import CONTAINERD_NAMES, CRIO_NAMES, nri_version, parse_version
from tools import versions_table


def rows(title: str) -> list[tuple[str, str, str]]:
    """(first version, NRI, route) of each row of the page's table."""
    table = versions_table.PAGE.read_text().split(f"| {title} from |")[1].split("\n\n")[0]
    return re.findall(r"^\| ([\d.]+) \| ([a-z\d. ]+) \| `(\w+)` \|$", table, re.MULTILINE)


def test_the_page_has_what_the_tool_makes() -> None:
    # Otherwise: run tools/versions_table.py.
    assert versions_table.tables() in versions_table.PAGE.read_text()


@pytest.mark.parametrize(
    ("title", "name", "version", "route"),
    [
        ("containerd", "containerd", "v1.7.15", "reply"),
        ("containerd", "containerd", "1.7.24~ds1", "resync"),
        ("containerd", "containerd", "v1.7.29", "reply"),
        ("containerd", "v2", "v2.0.5", "reply"),
        ("containerd", "containerd", "2.1.9+unknown", "reply"),
        ("containerd", "containerd", "v2.3.7", "reply"),
        ("containerd", "containerd", "2.4.2+unknown", "unsolicited"),
        ("CRI-O", "cri-o", "1.31.5", "reply"),
        ("CRI-O", "cri-o", "1.36.3", "reply"),
    ],
)
def test_the_row_of_a_version_has_the_route_that_the_daemon_takes(
    title: str, name: str, version: str, route: str
) -> None:
    mine = parse_version(version)
    assert mine is not None
    row = [row for row in rows(title) if (since := parse_version(row[0])) is not None and since <= mine][-1]
    assert row[2] == RuntimeInfo(name, version, nri_version(name, version)).record_route == route


def test_every_runtime_that_koordnri_knows_by_name_has_a_table() -> None:
    shown = set(versions_table.RUNTIMES.values())
    assert shown & CONTAINERD_NAMES
    assert shown & CRIO_NAMES
    assert all(rows(title) for title in versions_table.RUNTIMES)


def test_check_finds_tables_that_are_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = tmp_path / "nri.md"
    stale.write_text(f"before\n{versions_table.BEGIN}\nold\n{versions_table.END}\nafter\n")
    monkeypatch.setattr(versions_table, "PAGE", stale)
    monkeypatch.setattr("sys.argv", ["versions_table.py", "--check"])
    assert versions_table.main() == 1
    assert "run tools/versions_table.py" in capsys.readouterr().out

    monkeypatch.setattr("sys.argv", ["versions_table.py"])
    assert versions_table.main() == 0
    text = stale.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| 2.4.0 | 0.12.3 | `unsolicited` |" in text


def test_a_page_without_a_place_for_them_is_refused() -> None:
    with pytest.raises(SystemExit, match="expected the lines"):
        versions_table.page("# no tables\n")
