"""Reads one list from the API server page by page. It holds what is kept of the objects, and one object more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

from koordnri.kube.api import ApiReply
from koordnri.kube.decoding import Decoding, Listed, Page

T = TypeVar("T")

PAGE = 500
"""Objects per page, as in kubectl."""
FROM_CACHE = "0"
FROM_ETCD = ""

Open = Callable[[dict[str, str]], AbstractContextManager[ApiReply]]


def read_list(decoding: Decoding[T], open_: Open, version: str, within_s: float) -> Listed[T]:
    """All pages of a list that is at least as new as `version`. "0": what the server's cache holds; "": the newest, from etcd.

    Each page may take `within_s` seconds. Raises KubeError.
    """
    # A server that is asked for pages of a certain version reads them from etcd; from all nodes at once that is too much load. What it
    # has in its cache it sends whole, whatever the limit. That happens at "0".
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
