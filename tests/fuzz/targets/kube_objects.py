"""Any bytes from the API server: objects, or Garbled, ApiRefused or a problem; the same list for every cut.

The first byte chooses the kind, and whether it is a list or lines of a watch; the second where a list is cut.
"""

from __future__ import annotations

from typing import Any

from koordnri.kube import node, pods
from koordnri.kube.configmap import ConfigMap
from koordnri.kube.decoding import Decoding, Lines
from koordnri.kube.errors import ApiRefused, Garbled
from koordnri.kube.objects import Object
from koordnri.kube.topology_object import KIND, TopologyObject, foreign_pools, writer_of
from koordnri.model.node_annotations import read_node_annotations
from koordnri.model.topology import Topology
from koordnri.policy import PolicyError
from koordnri.policy.document import load_data

_TOPOLOGY = Topology.regular(2, 1, 4, 2)


def check(data: bytes) -> None:
    """The answer to a list or to a watch."""
    if len(data) < 3:
        return
    decoding = _KINDS[(data[0] >> 1) % len(_KINDS)]
    if data[0] & 1:
        whole, cut = _listed(decoding, [data[2:]]), _listed(decoding, [data[2 : 2 + data[1]], data[2 + data[1] :]])
        assert whole == cut
        return
    lines = Lines("GET")
    try:
        for line in lines.feed(data[2:]):
            decoding.line("GET", line)
        lines.end()
    except (Garbled, ApiRefused) as error:
        assert len(str(error)) < 2000


def _listed(decoding: Decoding[Any], pieces: list[bytes]) -> tuple[list[Any], list[str], str]:
    page = decoding.page("GET")
    try:
        for piece in pieces:
            page.feed(piece)
        page.end()
    except Garbled as error:
        return page.objects, page.problems, str(error)
    return page.objects, page.problems, ""


def _config_map(item: ConfigMap) -> ConfigMap:
    try:
        load_data(item.data or {}, "fuzz")
    except PolicyError as error:
        assert error.mistakes
    return item


def _node(item: node.Node) -> node.NodeFacts:
    facts = node.facts_of(item)
    for topology in (None, _TOPOLOGY):
        for problem in read_node_annotations(facts.annotations, topology).problems:
            assert len(problem) < 1000, problem
    return facts


def _topology(item: TopologyObject) -> dict[str, str]:
    assert isinstance(writer_of(item), str)
    return foreign_pools(item)


def _labels(item: Object) -> dict[str, str]:
    return item.metadata.labels or {}


_KINDS: tuple[Decoding[Any], ...] = (
    Decoding("ConfigMap", ConfigMap, _config_map),
    Decoding("Node", node.Node, _node),
    Decoding("Pod", pods.PodObject, pods.facts_of),
    Decoding(KIND, TopologyObject, _topology),
    Decoding("Namespace", Object, _labels),
)
