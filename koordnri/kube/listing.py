"""Reads one list from the API server page by page. It holds what is kept of the objects, and one object more."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from koordnri.kube.decoding import Decoding, Listed, Page
from koordnri.kube.steps import Request

T = TypeVar("T")

PAGE = 500
"""Objects per page, as in kubectl."""
FROM_CACHE = "0"
FROM_ETCD = ""


def read_list(decoding: Decoding[T], what: str, version: str, within_s: float) -> Generator[Request, None, Listed[T]]:
    """All pages of a list that is at least as new as `version`. "0": what the server's cache holds; "": the newest, from etcd.

    Yields the requests to be sent. `what` names them in messages; each page may take `within_s` seconds. Raises KubeError.
    """
    # A server that is asked for pages of a certain version reads them from etcd; from all nodes at once that is too much load. What it
    # has in its cache it sends whole, whatever the limit. That happens at "0".
    query = {"limit": str(PAGE)} if version in (FROM_CACHE, FROM_ETCD) else {}
    if version:
        query["resourceVersion"] = version
    page = yield from _page(decoding, what, query, within_s)
    listed = Listed(page.version, page.objects, page.problems)
    while page.rest:
        page = yield from _page(decoding, what, {"limit": str(PAGE), "continue": page.rest}, within_s)
        listed.objects.extend(page.objects)
        listed.problems.extend(page.problems)
    return listed


def _page(
    decoding: Decoding[T], what: str, query: dict[str, str], within_s: float
) -> Generator[Request, None, Page[T]]:
    page = decoding.page(what)
    yield Request(query, within_s, within_s, page.feed)
    page.end()
    return page
