"""Links hold in the checkout and in the book, where the root's pages are in a folder of their own; pictures are drawn."""

from __future__ import annotations

import pytest
from markdown import Markdown
from mkdocs.config import load_config

from tools.book import ROOT, relinked


@pytest.mark.parametrize(
    ("page", "link", "in_book"),
    [
        ("docs/use/index.md", "../../README.md#on-a-node", "../repository/readme.md#on-a-node"),
        ("docs/index.md", "../README.md", "repository/readme.md"),
        ("docs/use/index.md", "../index.md", "../index.md"),
        ("README.md", "docs/index.md", "../index.md"),
        ("README.md", "CHANGELOG.md", "changelog.md"),
        ("README.md", "https://example.org/a.md", "https://example.org/a.md"),
        ("docs/index.md", "#here", "#here"),
    ],
)
def test_links_of_a_page_in_the_book(page: str, link: str, in_book: str) -> None:
    assert relinked(f"see [it]({link}).", page) == f"see [it]({in_book})."


def test_a_picture_becomes_what_the_theme_draws() -> None:
    config = load_config(str(ROOT / "mkdocs.yml"))
    page = Markdown(extensions=config.markdown_extensions, extension_configs=config.mdx_configs)
    assert '<pre class="mermaid">' in page.convert("```mermaid\nflowchart LR\n  a --> b\n```")
