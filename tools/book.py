"""mkdocs calls this (`hooks` in mkdocs.yml): the pages in the repository's root are part of the book, and links to them hold.

In the checkout a page of docs/use/ links to README.md two folders up, as whoever reads the files needs it. In the book README.md is in
the folder `repository`.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ROOT_PAGES = {
    name: f"repository/{name.lower()}"
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
    if (ROOT / name).exists()
}
"""path in the repository → path in the book"""
LINK = re.compile(r"(?<=\]\()(?P<path>[^)\s#:]+)(?P<rest>#[^)\s]*)?(?=\))")


def in_book(path: str) -> str:
    """Where a page of the repository is in the book; pages that are not in it stay what they are, and the strict build names them."""
    return ROOT_PAGES.get(path, path.removeprefix("docs/"))


def relinked(markdown: str, path: str) -> str:
    """The text of the page at this path of the repository, with the links that it has in the book."""
    book_folder, folder = posixpath.dirname(in_book(path)), posixpath.dirname(path)

    def link(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, found["path"]))
        return os.path.relpath(in_book(target), book_folder or ".") + (found["rest"] or "")

    return LINK.sub(link, markdown)


def on_files(files: Any, *, config: Any) -> Any:
    """Add the root's pages to the book."""
    from mkdocs.structure.files import File

    for path, uri in ROOT_PAGES.items():
        files.append(File.generated(config, uri, content=(ROOT / path).read_text()))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Relink a page before it is rendered."""
    uri = page.file.src_uri
    return relinked(markdown, next((path for path, there in ROOT_PAGES.items() if there == uri), f"docs/{uri}"))
