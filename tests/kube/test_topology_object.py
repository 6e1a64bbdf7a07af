"""Who writes a NodeResourceTopology, and which of its share pools are somebody else's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from koordnri.kube.topology_object import MANAGED_BY, NOBODY, OURS, decode_topology, foreign_pools, writer_of
from koordnri.model.node_annotations import BE_POOLS_KEY, LS_POOLS_KEY

ZONES = {"f:zones": {}}


def annotated(*keys: str) -> dict[str, Any]:
    return {"f:metadata": {"f:annotations": {".": {}, **{f"f:{key}": {} for key in keys}}}}


def topology(label: str | None, *managers: tuple[str, dict[str, Any]], **annotations: str) -> Any:
    entries = [{"manager": name, "operation": "Apply", "fieldsV1": fields} for name, fields in managers]
    labels = {} if label is None else {MANAGED_BY: label}
    metadata = {"name": "n1", "labels": labels, "annotations": annotations, "managedFields": entries}
    return decode_topology(json.dumps({"metadata": metadata, "zones": [{"name": "node-0"}]}))


@pytest.mark.parametrize(
    ("item", "writer"),
    [
        (None, NOBODY),
        (topology(OURS, (OURS, ZONES)), OURS),
        (topology(OURS, (OURS, ZONES), ("kubectl", annotated("team.example/note"))), OURS),
        (topology(OURS), OURS),
        (topology(OURS, (OURS, {}), ("koordlet", annotated(LS_POOLS_KEY))), "koordlet"),
        (topology(OURS, (OURS, {}), ("koordlet", annotated("kubelet.koordinator.sh/cpu-manager-policy"))), "koordlet"),
        (topology(OURS, ("nfd-topology-updater", ZONES)), "nfd-topology-updater"),
        (topology("Koordinator", ("koordlet", ZONES)), "Koordinator"),
        (topology(None, ("nfd-topology-updater", ZONES)), "nfd-topology-updater"),
        (topology(None, (OURS, ZONES)), "an unknown manager"),
        (topology(None), "an unknown manager"),
        (topology(OURS, ("", ZONES)), "an unknown manager"),
        (topology(OURS, ("odd", {"f:metadata": 1})), OURS),
    ],
)
def test_an_object_is_ours_only_if_we_made_it_and_nobody_else_describes_the_node_in_it(item: Any, writer: str) -> None:
    assert writer_of(item) == writer


def test_pools_that_only_we_wrote_are_not_foreign() -> None:
    pools = {LS_POOLS_KEY: "ls", BE_POOLS_KEY: "be", "other": "x"}
    ours = (OURS, annotated(LS_POOLS_KEY, BE_POOLS_KEY))
    assert foreign_pools(topology(OURS, ours, **pools)) == {}
    assert foreign_pools(topology(OURS, ours, ("koordlet", annotated(LS_POOLS_KEY)), **pools)) == {LS_POOLS_KEY: "ls"}
    assert foreign_pools(topology("Koordinator", ours, **pools)) == {LS_POOLS_KEY: "ls", BE_POOLS_KEY: "be"}
    assert foreign_pools(topology(None, **pools)) == {LS_POOLS_KEY: "ls", BE_POOLS_KEY: "be"}
