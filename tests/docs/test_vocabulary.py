"""Retired words are refused, wherever they stand and however they are spelled; docs/design/vocabulary.md is the only list."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_vocabulary", ROOT / "tools/check_vocabulary.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


vocabulary = _load()

RETIRED = {"own CPUs": "exclusive CPUs", "trunk": "channel", "CPUs of its own": "exclusive CPUs"}


def page(exceptions: str = "") -> str:
    return (
        "# Vocabulary\n\n## Retired words\n\n| retired | say instead | why |\n|---|---|---|\n"
        "| own CPUs, CPUs of its own | exclusive CPUs | one word |\n| trunk | channel | one word |\n\n"
        f"## Exceptions\n\n| word | file | reason |\n|---|---|---|\n{exceptions}"
    )


def tree(root: Path, text: str, exceptions: str = "") -> Path:
    for name, content in {"docs/design/vocabulary.md": page(exceptions), "koordnri/room/a.py": text}.items():
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(content)
    return root


def test_the_checkout_has_no_retired_word() -> None:
    assert vocabulary.check(ROOT) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# its own CPUs", "own CPUs"),
        ("def own_cpus(): ...", "own CPUs"),
        ("OWN_CPUS = 1", "own CPUs"),
        ("class OwnCPUs:", "own CPUs"),
        ("_own_cpus = 1", "own CPUs"),
        ("# containers with own\n# CPUs", "own CPUs"),
        ("The Trunk ends.", "trunk"),
        ("TrunkReader", "trunk"),
        ("gets CPUs of its\n    own", "CPUs of its own"),
    ],
)
def test_finds_a_word_in_every_spelling(text: str, found: str) -> None:
    assert [f.word for f in vocabulary.findings("a.py", text, RETIRED)] == [found]


@pytest.mark.parametrize("text", ["truncated", "trunks", "bestrunk", "its own quota, and CPUs", "downCPUs"])
def test_leaves_other_words_alone(text: str) -> None:
    assert list(vocabulary.findings("a.py", text, RETIRED)) == []


def test_names_the_line_in_which_a_phrase_begins() -> None:
    assert [f.line for f in vocabulary.findings("a.py", "a\nb own\nCPUs\ntrunk\n", RETIRED)] == [2, 4]


def test_reports_file_line_and_replacement(tmp_path: Path) -> None:
    root = tree(tmp_path, "x = 1\n# the trunk\n")
    assert vocabulary.check(root) == [
        'koordnri/room/a.py:2: "trunk" is retired, say instead: channel (docs/design/vocabulary.md)'
    ]


@pytest.mark.parametrize("file", ["tests/room/test_a.py", "tools/a.py", "docs/a.md"])
def test_reads_tests_tools_and_pages_too(tmp_path: Path, file: str) -> None:
    tree(tmp_path, "fine")
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("a trunk")
    assert [message.partition(":")[0] for message in vocabulary.check(tmp_path)] == [file]


def test_an_exception_allows_one_word_in_one_file(tmp_path: Path) -> None:
    row = "| trunk | koordnri/room/a.py | the tree's |\n"
    assert vocabulary.check(tree(tmp_path, "# a trunk with own CPUs\n", row)) == [
        'koordnri/room/a.py:1: "own CPUs" is retired, say instead: exclusive CPUs (docs/design/vocabulary.md)'
    ]


def test_refuses_an_exception_that_nothing_needs(tmp_path: Path) -> None:
    (message,) = vocabulary.check(tree(tmp_path, "x = 1\n", "| trunk | koordnri/room/a.py | the tree's |\n"))
    assert "not needed any more" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (page("| knob | koordnri/a.py | old |\n"), "not a retired word"),
        (page("| trunk | koordnri/a.py | |\n"), "three cells"),
        ("# Vocabulary\n", "expected a table below '## Retired words'"),
    ],
)
def test_refuses_a_page_that_it_cannot_read(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vocabulary.read(text)


def test_leaves_generated_code_and_the_page_itself_alone(tmp_path: Path) -> None:
    root = tree(tmp_path, "")
    (root / "koordnri/room/b_pb2.py").write_text("trunk = 1\n")
    assert vocabulary.check(root) == []
