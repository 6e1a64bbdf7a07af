"""The page's own files. They are shipped in the package and sent as they are; there is no build step."""

from __future__ import annotations

from importlib import resources

from koordnri.observe.http import HTTPAnswer, Page, Pages

INDEX = "index.html"
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def file_pages() -> Pages:
    """Path → page. INDEX is the path `/`. The files are read once, here: some 50 KiB. Raises OSError."""
    pages: dict[str, dict[str, Page]] = {}
    for file in sorted(resources.files("koordnri.page").joinpath("files").iterdir(), key=lambda f: f.name):
        suffix = file.name[file.name.rfind(".") :]
        answer = HTTPAnswer(200, file.read_bytes(), CONTENT_TYPES[suffix])
        pages["/" if file.name == INDEX else f"/{file.name}"] = {"GET": _page(answer)}
    return pages


def _page(answer: HTTPAnswer) -> Page:
    return lambda _: answer
