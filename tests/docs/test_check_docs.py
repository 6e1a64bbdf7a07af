"""tools/check_docs.py finds what points to nothing, and this repository has none of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.check_docs import ROOT, anchor, check, check_code, check_nav, check_page

PAGE = "# Page\n\n## What is `here`, and why\n\n```sh\n# no heading\n```\n"
REFERENCE = "# NRI\n\n## 2. Messages\n\n### 2.6 Fields\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for path, text in {
        "docs/page.md": PAGE,
        "docs/reference/nri.md": REFERENCE,
        "docs/reference/index.md": "# Reference\n",
        "docs/use/index.md": "# Use\n",
        "README.md": "# Read me\n",
        "Makefile": "lint: x\n",
        "koordnri/chain.py": "class Snapshot: ...\n",
        "koordnri/hook/__init__.py": "from x import Hook\n",
        "koordnri/model/fields.py": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def mistakes_of_page(repository: Path, text: str) -> list[tuple[int, str]]:
    page = repository / "docs/use/new.md"
    page.write_text(text)
    return [(line, problem) for _, line, problem in check_page(repository, page)]


def mistakes_of_code(repository: Path, text: str) -> list[tuple[int, str]]:
    file = repository / "koordnri/new.py"
    file.write_text(text)
    return [(line, problem) for _, line, problem in check_code(repository, file)]


@pytest.mark.parametrize(
    "text",
    [
        "[x](../page.md)",
        "[x](../page.md#what-is-here-and-why)",
        "[x](../../README.md)",
        "[x](https://example.org/absent)",
        "# Here\n\n[x](#here)",
        "`[x](absent.md)`",
        "`koordnri/chain.py`, `koordnri/`, `koordnri/*/fields.py`, `koordnri/<room>/new.py`",
        "`koordnri.chain`, `koordnri.chain.Snapshot`, `koordnri.hook.Hook`, `koordnri.sh/exclusive-cpus`",
        "`make lint`",
        "```sh\nmake lint\npytest koordnri/chain.py::test_x\n```",
        "A paragraph.\n\n- one\n- two\n    - inner\n",
    ],
)
def test_what_is_there_is_no_mistake(repository: Path, text: str) -> None:
    assert mistakes_of_page(repository, text) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("\n[x](absent.md)", (2, "link to absent.md: there is no such file")),
        ("[x](../page.md#no-heading)", (1, "link to ../page.md#no-heading: page.md has no heading with this anchor")),
        ("`koordnri/absent.py`", (1, "`koordnri/absent.py`: there is no such path")),
        ("```sh\npytest koordnri/absent.py::test_x\n```", (2, "`koordnri/absent.py`: there is no such path")),
        ("`koordnri.absent`", (1, "`koordnri.absent`: there is no such module, nor such a name in it")),
        ("`koordnri.chain.Absent`", (1, "`koordnri.chain.Absent`: there is no such module, nor such a name in it")),
        ("`make absent`", (1, "`make absent`: the Makefile has no such target")),
        ("Text\n- item", (2, "put an empty line above the list, or mkdocs takes it for part of the paragraph")),
        (
            "- item\n  - inner",
            (2, "indent items of an inner list by 4 spaces, or mkdocs takes them for the outer list's"),
        ),
    ],
)
def test_what_is_not_there_is_named_with_its_line(repository: Path, text: str, found: tuple[int, str]) -> None:
    assert mistakes_of_page(repository, text) == [found]


@pytest.mark.parametrize(
    "text",
    [
        '"""Formula: nri.md 2.6."""',
        '"""Formula: nri.md 2,\n2.6 and why."""',
        "# README.md, docs/page.md, docs/page.md#page",
        'x = "absent.md"',
        "call(\n    'absent.md'\n)",
    ],
)
def test_citations_that_lead_somewhere_are_no_mistake(repository: Path, text: str) -> None:
    assert mistakes_of_code(repository, text + "\n") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('x = 1\n"""See absent.md."""', (2, "cites absent.md: there is no such document")),
        ('"""One.\n\nSee nri.md 2.6 and 2.7.\n"""', (3, "cites nri.md 2.7: it has no section of that number")),
        ("x = 1  # nri.md 26", (1, "cites nri.md 26: it has no section of that number")),
        ("# one\n# nri.md 2,\n# 5.4", (2, "cites nri.md 5.4: it has no section of that number")),
        ("# docs/nri.md", (1, "cites docs/nri.md: there is no such document")),
        ("# docs/page.md#absent", (1, "cites docs/page.md#absent: it has no heading with this anchor")),
        ("# index.md", (1, "cites index.md: 2 of that name below docs/, give its path")),
    ],
)
def test_a_citation_that_leads_nowhere_is_named_with_its_line(
    repository: Path, text: str, found: tuple[int, str]
) -> None:
    assert mistakes_of_code(repository, text + "\n") == [found]


def test_a_page_that_the_book_does_not_list_is_named(repository: Path) -> None:
    nav = "nav:\n  - page.md\n  - Use: use/index.md\n  - reference/index.md\n"
    (repository / "mkdocs.yml").write_text(nav)
    assert [problem for _, _, problem in check_nav(repository)] == ["nav lacks reference/nri.md"]


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("On a node", "on-a-node"),
        ("2.6 Adjustments, and `unified`", "26-adjustments-and-unified"),
        ("Threads / locks", "threads--locks"),
        ("The [README](../README.md)", "the-readme"),
    ],
)
def test_anchors_are_those_of_forges(heading: str, expected: str) -> None:
    assert anchor(heading) == expected


def test_this_repository_points_to_nothing_absent() -> None:
    assert check(ROOT) == []
