"""Keeps the annotation `koordnri.sh/policy` of this Node up to date: which policy is in force there, and since when.

    koordnri.sh/policy: REVISION@TIME

One patch per change of the revision; none after a restart under the same policy. RBAC: verb patch on nodes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from koordnri.kube.api import Api
from koordnri.kube.errors import KubeError
from koordnri.kube.publisher import NotKnown, Publisher
from koordnri.model.log import Log

KEY = "koordnri.sh/policy"
SETTLE_S = 1.0
"""A policy that changes again within this time (s) is published once."""
SPREAD_S = 10.0
"""A new policy reaches all nodes within the same second. Their patches are spread over this time (5,000 nodes: 500 per second)."""


class _Wanted(NamedTuple):
    revision: str
    since_s: float
    """wall clock"""


class NodeAnnotation(Publisher):
    """`start`, `want`, `stop`. Keywords are those of Publisher.

    present   the annotation that the Node has, "" for none; None while it is not known, or while the policy may not be read yet
    """

    def __init__(
        self,
        api: Api,
        node: str,
        present: Callable[[], str | None],
        log: Log,
        on_death: Callable[[BaseException], None],
        *,
        now: Callable[[], float] = time.time,
        **keywords: Any,
    ) -> None:
        super().__init__(api, "annotation", on_death, log, **{"settle_s": SETTLE_S, "spread_s": SPREAD_S, **keywords})
        self._path = f"/api/v1/nodes/{quote(node, safe='')}"
        self._present = present
        self._now = now
        self._wanted: _Wanted | None = None

    def want(self, revision: str) -> None:
        """This policy is in force. Any thread may call it, again and again; it never blocks."""
        if self._wanted is None or self._wanted.revision != revision:
            self._wanted = _Wanted(revision, self._now())
            self.changed()

    def _send(self) -> None:
        present, wanted = self._present(), self._wanted
        if present is None:
            raise NotKnown
        if wanted is None or present.partition("@")[0] == wanted.revision:
            return
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wanted.since_s))
        body = {"metadata": {"annotations": {KEY: f"{wanted.revision}@{since}"}}}
        self._request("PATCH", self._path, msgspec.json.encode(body), "application/merge-patch+json")
        self._log.info("node_annotated", annotation=KEY, revision=wanted.revision)

    def _not_sent(self, error: KubeError) -> None:
        self._log.warning("node_not_annotated", annotation=KEY, error=str(error))
