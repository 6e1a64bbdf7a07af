"""Make the tables of docs/reference/nri.md 2.4 from koordnri/wire/versions.py: each runtime's NRI, and the route by which koordnri records.

tools/versions_table.py           write them
tools/versions_table.py --check   write nothing; end with 1 where they are not what it would write
"""

from __future__ import annotations

import sys
from pathlib import Path

from koordnri.session.runtime_info import RuntimeInfo
from koordnri.wire.versions import NRI_BY_RUNTIME, Version
from tools.made_files import keep

PAGE = Path(__file__).resolve().parents[1] / "docs/reference/nri.md"
BEGIN, END = "<!-- runtimes: made by tools/versions_table.py -->", "<!-- end of runtimes -->"
RUNTIMES = {"containerd": "containerd", "CRI-O": "cri-o"}
"""How people write a runtime → how it names itself."""


def tables() -> str:
    """One table per runtime, between the marks."""
    return "\n\n".join([BEGIN, *(_table(title, name) for title, name in RUNTIMES.items()), END])


def _table(title: str, name: str) -> str:
    lines = [f"| {title} from | NRI | route |", "|---|---|---|"]
    before: tuple[Version, str] | None = None
    for since, nri in NRI_BY_RUNTIME[name]:
        route = RuntimeInfo(name, str(since), nri).record_route
        if (nri, route) != before:
            lines.append(f"| {since} | {nri if nri.final else f'before {nri._replace(final=True)}'} | `{route}` |")
        before = nri, route
    return "\n".join(lines)


def page(before: str) -> str:
    """The page with new tables. Raises SystemExit where the page has no place for them."""
    if BEGIN not in before or END not in before:
        raise SystemExit(f"{PAGE}: expected the lines {BEGIN!r} and {END!r} around the tables")
    return before[: before.index(BEGIN)] + tables() + before[before.index(END) + len(END) :]


def main() -> int:
    """Return the exit code."""
    return keep({PAGE: page(PAGE.read_text())}, "koordnri/wire/versions.py", "tools/versions_table.py")


if __name__ == "__main__":
    sys.exit(main())
