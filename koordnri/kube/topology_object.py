"""A NodeResourceTopology as the API server has it, and who writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from koordnri.kube.objects import Metadata, Object
from koordnri.model.node_annotations import BE_POOLS_KEY, LS_POOLS_KEY

KIND = "NodeResourceTopology"
GROUP = "topology.node.k8s.io"
OURS = "koordnri"
"""our field manager, and the value of MANAGED_BY in objects that we made"""
NOBODY = ""
"""there is no such object"""
MANAGED_BY = "app.kubernetes.io/managed-by"
"""koordlet's objects say Koordinator here"""
POOLS = (LS_POOLS_KEY, BE_POOLS_KEY)
_FIELDS = frozenset({"f:zones", "f:attributes", "f:topologyPolicies"})
_DOMAIN = "koordinator.sh/"
"""of all annotations that koordlet writes there: node.koordinator.sh/…, kubelet.koordinator.sh/…"""


class ManagedFields(msgspec.Struct, rename="camel"):
    """One entry of `metadata.managedFields`."""

    manager: str = ""
    fields: dict[str, Any] = msgspec.field(default_factory=dict, name="fieldsV1")


class TopologyMetadata(Metadata, rename="camel"):
    """`metadata`, with who wrote what."""

    managed_fields: list[ManagedFields] | None = None


class TopologyObject(Object):
    """Its zones are skipped: koordnri reads only annotations."""

    metadata: TopologyMetadata


def collection(version: str) -> str:
    """The path of all objects in this version of the API."""
    return f"/apis/{GROUP}/{version}/noderesourcetopologies"


def writer_of(item: TopologyObject | None) -> str:
    """Who writes the object: OURS, NOBODY, or the name of somebody else. One that koordnri did not make is somebody else's, whoever that
    is; so is one of ours that somebody else has written since.
    """
    if item is None:
        return NOBODY
    entries = item.metadata.managed_fields or []
    others = [one.manager for one in entries if one.manager != OURS and _describes_the_node(one.fields)]
    label = (item.metadata.labels or {}).get(MANAGED_BY, "")
    if label != OURS:
        return label or next((name for name in others if name), "an unknown manager")
    return next((name or "an unknown manager" for name in others), OURS)


def foreign_pools(item: TopologyObject) -> dict[str, str]:
    """Its annotations that are share pools, without those that only koordnri wrote."""
    annotations = item.metadata.annotations or {}
    ours = (item.metadata.labels or {}).get(MANAGED_BY) == OURS
    return {key: annotations[key] for key in POOLS if key in annotations and not (ours and _only_we_wrote(item, key))}


def _only_we_wrote(item: TopologyObject, key: str) -> bool:
    return {one.manager for one in item.metadata.managed_fields or [] if key in _annotations(one.fields)} == {OURS}


def _describes_the_node(fields: dict[str, Any]) -> bool:
    return not _FIELDS.isdisjoint(fields) or any(_DOMAIN in key for key in _annotations(fields))


def _annotations(fields: dict[str, Any]) -> Iterator[str]:
    """The annotations that an entry names."""
    metadata = fields.get("f:metadata")
    found = metadata.get("f:annotations") if isinstance(metadata, dict) else None
    if isinstance(found, dict):
        yield from (key.removeprefix("f:") for key in found)


decode_topology = msgspec.json.Decoder(TopologyObject).decode
