"""Facts about the node that are not in the host's files: from the runtime, its resctrl groups, the API server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from koordnri.model import NodeState
from koordnri.resctrl.groups import ResctrlGroups
from koordnri.session.cdi import why_no_cdi
from koordnri.session.not_sent import not_sent
from koordnri.session.runtime_info import RuntimeInfo

if TYPE_CHECKING:  # the official client costs 0.2 s and 20 MiB, and not every daemon needs it
    from koordnri.daemon.cluster import Cluster


class ReportedFacts:
    """groups, cluster: None if there are none."""

    def __init__(self, groups: ResctrlGroups | None, cluster: Cluster | None) -> None:
        self.runtime = RuntimeInfo()
        """from the last registration"""
        self._groups = groups
        self._cluster = cluster

    def applied(self, node: NodeState) -> NodeState:
        """The node state with these facts."""
        runtime = self.runtime
        node = replace(
            node,
            no_cdi=why_no_cdi(runtime),
            not_sent=not_sent(runtime),
            no_limit_bytes=runtime.no_limit_bytes,
        )
        if self._groups is not None:
            node = self._groups.applied(node)
        return node if self._cluster is None else self._cluster.applied(node)
