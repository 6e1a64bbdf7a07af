"""Keeps this node's NodeResourceTopology up to date, for schedulers that place pods by NUMA node.

It is applied by the server (server-side apply, field manager koordnri), one request per change. An object that somebody else writes, such
as koordlet, is left alone. RBAC: get, create, patch and delete on noderesourcetopologies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from koordnri.kube.api import Api
from koordnri.kube.errors import ApiRefused, Garbled, KubeError
from koordnri.kube.objects import DECODE_ERRORS
from koordnri.kube.publisher import Publisher
from koordnri.kube.topology_object import (
    GROUP,
    KIND,
    MANAGED_BY,
    NOBODY,
    OURS,
    TopologyObject,
    collection,
    decode_topology,
    writer_of,
)
from koordnri.model.log import Log

SETTLE_S = 5.0
"""At most one request in this time (s), whatever comes and goes on the node."""
_READ_AS = "v1alpha1"
"""the version by which the daemon watches the object; what it saw there can be deleted there"""


class NodeTopology(NamedTuple):
    """What is to be published."""

    version: str
    """of the API: v1alpha1, v1alpha2"""
    node_uid: str
    """of the Node, which owns the object: the API server deletes the one with the other"""
    annotations: Mapping[str, str]
    content: Mapping[str, Any]
    """`zones`, and beside them what this version of the API has"""


class TopologyPublisher(Publisher):
    """`start`, `changed`, `seen`, `stop`. Keywords are those of Publisher.

    wanted       what is to be published now, None for nothing; called in the thread. Raises NotKnown
    on_refused   called with why nothing can be published, once for several failures in a row
    """

    def __init__(
        self,
        api: Api,
        node: str,
        wanted: Callable[[], NodeTopology | None],
        on_refused: Callable[[str], None],
        log: Log,
        on_death: Callable[[BaseException], None],
        **keywords: Any,
    ) -> None:
        super().__init__(api, "topology", on_death, log, **{"settle_s": SETTLE_S, **keywords})
        self._node = node
        self._wanted = wanted
        self._on_refused = on_refused
        self._writer = NOBODY
        """who writes the object, as last seen"""
        self._done: NodeTopology | None = None

    def seen(self, writer: str) -> None:
        """The object's writer changed, as `writer_of` has it: somebody took it over, or deleted it. Called by the watch's thread."""
        if writer != self._writer:
            self._writer = writer
            self.retry()

    def _send(self) -> None:
        wanted = self._wanted()
        if wanted is None:
            self._withdraw()
        elif wanted != self._done or self._writer != OURS:
            self._apply(wanted)
            self._done = wanted
            self._log.info("topology_published", version=wanted.version)

    def _withdraw(self) -> None:
        if self._writer == OURS:
            self._request("DELETE", self._path(_READ_AS))
            self._log.info("topology_withdrawn")
        self._done = None

    def _apply(self, wanted: NodeTopology) -> None:
        path = self._path(wanted.version)
        writer = writer_of(self._present(path))
        if writer not in (NOBODY, OURS):
            raise ApiRefused(
                f"PATCH {path}",
                409,
                f"the object belongs to {writer}; nothing is published beside it. Turn off its reporting and delete the object, "
                "or set publishTopology: none",
            )
        metadata = {
            "name": self._node,
            "labels": {MANAGED_BY: OURS},
            "annotations": wanted.annotations,
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": self._node, "uid": wanted.node_uid}],
        }
        body = {"apiVersion": f"{GROUP}/{wanted.version}", "kind": KIND, "metadata": metadata, **wanted.content}
        try:
            self._request(
                "PATCH", path, msgspec.json.encode(body), "application/apply-patch+yaml", {"fieldManager": OURS}
            )
        except ApiRefused as error:
            if error.status != 404:
                raise
            missing = f"there is no kind {KIND} in {GROUP}/{wanted.version}: install its CustomResourceDefinition"
            raise ApiRefused(f"PATCH {path}", 404, missing) from None

    def _present(self, path: str) -> TopologyObject | None:
        try:
            return decode_topology(self._request("GET", path))
        except ApiRefused as error:
            if error.status == 404:
                return None
            raise
        except DECODE_ERRORS as error:
            raise Garbled(f"GET {path}: expected a {KIND}, got {error}") from None

    def _path(self, version: str) -> str:
        return f"{collection(version)}/{quote(self._node, safe='')}"

    def _not_sent(self, error: KubeError) -> None:
        self._log.warning("topology_not_published", error=str(error))
        self._on_refused(str(error))
