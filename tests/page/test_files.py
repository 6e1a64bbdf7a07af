"""The page's own files: what they may not do, and that they agree with `koordnri map`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import koordnri.page
from koordnri.cli.map_legend import PALETTE, STATES
from koordnri.page.files import CONTENT_TYPES, file_pages

FILES = Path(koordnri.page.__file__).parent / "files"
TEXTS = {path.name: path.read_text() for path in sorted(FILES.iterdir())}
SCRIPTS = {name: text for name, text in TEXTS.items() if name.endswith(".js")}


def test_each_file_is_a_page_and_the_index_is_the_root() -> None:
    assert set(file_pages()) == {"/"} | {f"/{name}" for name in TEXTS if name != "index.html"}
    assert {Path(name).suffix for name in TEXTS} <= set(CONTENT_TYPES)


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_turns_a_text_into_markup_or_code(name: str) -> None:
    dangerous = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setHTML|DOMParser|srcdoc|javascript:"
    assert not re.findall(dangerous, SCRIPTS[name])


@pytest.mark.parametrize("name", TEXTS)
def test_nothing_is_loaded_from_elsewhere(name: str) -> None:
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"']*", TEXTS[name]))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # a name, not an address


def test_the_index_has_no_inline_script_style_or_handler() -> None:
    index = TEXTS["index.html"]
    assert not re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", index)


def test_addresses_in_the_index_are_relative_files_that_are_there() -> None:
    """Relative, so that the page works below a path too, as with `kubectl proxy`."""
    found = re.findall(r'(?:src|href)="([^#"]+)"', TEXTS["index.html"])
    assert found
    assert set(found) <= set(TEXTS)


def test_marks_and_meanings_are_those_of_the_command() -> None:
    table = re.search(r"STATES = (\{.*?\});", TEXTS["map.js"], re.DOTALL)
    assert table is not None
    assert json.loads(table[1]) == {state: [sign, meaning] for state, (sign, meaning) in STATES.items()}


def test_colours_of_owners_are_those_of_the_command() -> None:
    found = dict(re.findall(r"\.owner-(\d+) \{ background: (#\w+) \}", TEXTS["page.css"]))
    assert found == {str(index): colour for index, colour in enumerate(PALETTE)}
    assert f"COLOURS = {len(PALETTE)};" in TEXTS["map.js"]
