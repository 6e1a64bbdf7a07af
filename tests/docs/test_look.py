"""The page on `map` and `top` shows what these commands print, and explains all of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from koordnri.cli import cli
from koordnri.cli.map_legend import STATES
from koordnri.cli.top_table import COLUMNS

DOCS = Path(__file__).parents[2] / "docs/use"


@pytest.fixture(scope="module")
def page() -> str:
    return (DOCS / "look.md").read_text()


def printed(page: str, number: int) -> str:
    """What the command on line `number` of the page's example prints, without its redirection."""
    (block,) = (block for block in re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL) if "examples/" in block)
    command = block.splitlines()[number].partition(" > ")[0].removeprefix("koordnri ")
    root = DOCS.parents[1]
    words = [str(root / word) if word.startswith("examples/") else word for word in command.split()]
    done = CliRunner().invoke(cli, words, env={"COLUMNS": "100"})
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_the_text_is_what_the_command_prints(page: str) -> None:
    (text,) = re.findall(r"```text\n(.*?)```", page, flags=re.DOTALL)
    assert text == "".join(f"{line.rstrip()}\n" for line in printed(page, 0).splitlines())


def test_so_is_the_picture(page: str) -> None:
    # Otherwise: run the second command of the example with `> docs/use/map.svg`.
    assert (DOCS / "map.svg").read_text() == printed(page, 1)


def first_cells(page: str, heading: str) -> list[str]:
    table = page.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return [line.split("|")[1].strip() for line in table.splitlines()[2:]]


def test_every_mark_is_explained(page: str) -> None:
    marks = [mark.strip("`") for mark in first_cells(page, "mark")[1:]]
    assert sorted(marks) == sorted(mark for mark, _ in STATES.values())


def test_every_column_is_explained(page: str) -> None:
    named = [title for cell in first_cells(page, "column") for title in cell.split(", ")]
    assert named == [column.title for column in COLUMNS]
