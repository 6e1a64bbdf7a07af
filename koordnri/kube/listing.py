"""One list of the API server, page by page, each taken apart while it arrives: as much is held as is kept of its objects, and one more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

from koordnri.kube.api import Reply
from koordnri.kube.decoding import Decoding, Listed, Page

T = TypeVar("T")

PAGE = 500
"""Objects that are asked for at once, as kubectl does."""
FROM_CACHE = "0"
FROM_ETCD = ""

Open = Callable[[dict[str, str]], AbstractContextManager[Reply]]


def read_list(decoding: Decoding[T], open_: Open, version: str, within_s: float) -> Listed[T]:
    """All pages of the list that is at least as new as `version` ("0": whatever the server's cache holds; "": the newest of etcd).

    Each page may take `within_s`. Raises KubeError.
    """
    # A server that is asked for pages of a certain version takes them from etcd, where all nodes together are too much for it. What it
    # has in its cache it sends whole, whatever the limit; that is what happens at "0".
    query = {"limit": str(PAGE)} if version in (FROM_CACHE, FROM_ETCD) else {}
    if version:
        query["resourceVersion"] = version
    page = _page(decoding, open_, query, within_s)
    listed = Listed(page.version, page.objects, page.problems)
    while page.rest:
        page = _page(decoding, open_, {"limit": str(PAGE), "continue": page.rest}, within_s)
        listed.objects.extend(page.objects)
        listed.problems.extend(page.problems)
    return listed


def _page(decoding: Decoding[T], open_: Open, query: dict[str, str], within_s: float) -> Page[T]:
    with open_(query) as reply:
        page = decoding.page(reply.what)
        for piece in reply.pieces(within_s=within_s):
            page.feed(piece)
        page.end()
    return page
