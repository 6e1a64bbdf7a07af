"""Make import-linter's contracts and the picture of the rooms from docs/design/rooms.toml.

tools/rooms.py           write .importlinter, and the picture in docs/design/architecture.md
tools/rooms.py --check   write nothing; end with 1 where one of them is not what it would write

Both end with 1 where a room is missing, or may import another one that it does not import.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.made_files import keep

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "docs/design/rooms.toml"
CONTRACTS = ROOT / ".importlinter"
PAGE = ROOT / "docs/design/architecture.md"
BEGIN, END = "<!-- rooms: made by tools/rooms.py -->", "<!-- end of rooms -->"

SANS_IO = ["asyncio", "logging", "os", "pathlib", "selectors", "socket", "structlog", "subprocess", "threading", "time"]
PRINTERS = ["click", "rich"]


def contracts(rooms: list[dict[str, Any]], hooks: dict[str, Any]) -> str:
    """The text of .importlinter."""
    names = [room["name"] for room in rooms]
    parts = [
        "# Made by tools/rooms.py from docs/design/rooms.toml; edit that one.\n"
        "[importlinter]\nroot_packages =\n    koordnri\n    koordnri_hooks\ninclude_external_packages = True\n",
        _contract("layers", "Rooms import downwards only", "layers", containers=["koordnri"], layers=names),
    ]
    for room in rooms:
        allowed = {room["name"], *room["imports"]}
        parts.append(
            _forbidden(
                f"may-import-{room['name']}",
                f"{room['name']} imports {', '.join(room['imports']) or 'no other room'}",
                [f"koordnri.{room['name']}"],
                [f"koordnri.{name}" for name in names if name not in allowed] + [hooks["package"]],
            )
        )
    whole = {name for name in hooks["imports"] if "." not in name}
    partly = {name.split(".")[0]: name for name in hooks["imports"] if "." in name}
    others = [f"koordnri.{name}" for name in names if name not in whole and name not in partly]
    for room, module in partly.items():
        others += [f"koordnri.{room}.{path.stem}" for path in _modules(room) if f"{room}.{path.stem}" != module]
    parts += [
        _forbidden("may-import-hooks", f"Hooks import {', '.join(hooks['imports'])}", [hooks["package"]], others),
        _forbidden(
            "sans-io", "wire and the hooks do no I/O and read no clock", ["koordnri.wire", hooks["package"]], SANS_IO
        ),
        _forbidden(
            "printers",
            "click and rich cost start-up time and belong to the commands",
            [f"koordnri.{name}" for name in names if name != "cli"] + [hooks["package"]],
            PRINTERS,
        ),
    ]
    return "\n".join(parts)


def picture(rooms: list[dict[str, Any]], hooks: dict[str, Any]) -> str:
    """The rooms as a table for people: what each does, and which rooms it may import."""
    rows = [f"| `{room['name']}` | {room['does']} | {' '.join(room['imports']) or '-'} |" for room in rooms]
    beside = f"| `{hooks['package']}` | the QoS hooks, beside the rooms | {' '.join(hooks['imports'])} |"
    head = ["| room | does | imports |", "|---|---|---|"]
    return "\n".join([BEGIN, "", *head, *rows, beside, "", END])


def imported_by(folder: Path, room: str) -> set[str]:
    """The names below `koordnri` that the modules of a room import. `folder`: that of the package."""
    return {name for file in (folder / room).rglob("*.py") for name in _imports(ast.parse(file.read_text()))}


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        for module in modules:
            package, _, rest = module.partition(".")
            if package == "koordnri" and rest:
                yield rest.partition(".")[0]


def _contract(name: str, title: str, kind: str, **lists: list[str]) -> str:
    lines = [f"[importlinter:contract:{name}]", f"name = {title}", f"type = {kind}"]
    for key, values in lists.items():
        lines += [f"{key} =", *(f"    {value}" for value in values)]
    return "\n".join(lines) + "\n"


def _forbidden(name: str, title: str, sources: list[str], targets: list[str]) -> str:
    text = _contract(name, title, "forbidden", source_modules=sources, forbidden_modules=targets)
    return text + "allow_indirect_imports = True\n"


def _modules(room: str) -> list[Path]:
    return [path for path in sorted((ROOT / "koordnri" / room).glob("*.py")) if path.stem != "__init__"]


def _page(table: str) -> str:
    text = PAGE.read_text()
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{PAGE}: expected the lines {BEGIN!r} and {END!r} around the picture of the rooms")
    return text[: text.index(BEGIN)] + table + text[text.index(END) + len(END) :]


def main() -> int:
    """Return the exit code."""
    source = tomllib.loads(SOURCE.read_text())
    rooms, hooks = source["room"], source["hooks"]
    there = {path.stem for path in (ROOT / "koordnri").iterdir() if path.name not in ("__init__.py", "__pycache__")}
    if there != (named := {room["name"] for room in rooms}):
        print(f"{SOURCE}: expected exactly the rooms below koordnri/, these differ: {sorted(there ^ named)}")
        return 1
    for room in rooms:
        if idle := sorted(set(room["imports"]) - imported_by(ROOT / "koordnri", room["name"])):
            print(f"{SOURCE}: {room['name']} imports nothing of {', '.join(idle)}; take that out of its imports")
            return 1
    files = {CONTRACTS: contracts(rooms, hooks), PAGE: _page(picture(rooms, hooks))}
    return keep(files, "docs/design/rooms.toml", "tools/rooms.py")


if __name__ == "__main__":
    sys.exit(main())
