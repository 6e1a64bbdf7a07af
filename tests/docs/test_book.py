"""Links hold in the checkout and in the book, where the root's pages are in a folder of their own."""

from __future__ import annotations

import pytest

from tools.book import relinked


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
