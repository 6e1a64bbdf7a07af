"""Why the daemon is not ready, and further problems; for /readyz.

It is not ready while it cannot decide, or decides by the defaults though somebody gave a policy. A refused policy beside a good one in
force is only a warning: otherwise one edit would make the daemons of all nodes unready, and stop roll-outs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from koordnri.session.registration import State
from koordnri.state.released import released_text

if TYPE_CHECKING:  # the parts contain it
    from koordnri.daemon.wiring import Parts


class Readiness:
    """Any thread may call it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def problems(self) -> list[str]:
        """What keeps the daemon from being ready; empty when it is ready."""
        parts, found = self._parts, []
        revision = parts.present.snapshot.policy.revision
        if not parts.admission.is_admitted:
            path = parts.admission.held_elsewhere or parts.admission.lock.path
            found.append(f"another koordnri holds {path}: stop it, only one may be registered on a node")
        elif parts.session.state is not State.SYNCHRONIZED:
            found.append(f"runtime: {parts.session.problem}")
        if parts.cluster is not None and (waiting := parts.cluster.policy_problem()):
            found.append(f"policy: not read from the API server yet ({waiting}); revision {revision} is in force")
        if (refused := parts.standing.refused) is not None and not parts.standing.acceptances:
            found.append(
                f"policy: {refused.source} was refused: {refused}; there was no good one yet, so revision {revision}, the defaults, "
                "is in force"
            )
        return found

    def warnings(self) -> list[str]:
        """Problems that do not keep it from being ready."""
        parts, found = self._parts, []
        if (refused := parts.standing.refused) is not None and parts.standing.acceptances:
            revision = parts.present.snapshot.policy.revision
            found.append(f"policy: {refused.source} was refused: {refused}; revision {revision} stays in force")
        if problem := parts.unstarted.problem:
            found.append(f"runtime: {problem}")
        if parts.notebook.problem:
            found.append(f"state: kept in memory only, and lost by a restart: {parts.notebook.problem}")
        if parts.admission.lock.problem:
            problem = parts.admission.lock.problem
            found.append(f"state: nothing keeps a second koordnri from registering: {problem}")
        if parts.present.snapshot.node.cgroup_read_only:
            found.append(
                "node: cgroups are mounted read-only: nobody is given exclusive CPUs, and no file follows a policy"
            )
        found += self._of_cluster()
        if text := released_text(parts.ledger, parts.present.snapshot.node):
            found.append(f"release: {text}")
        if parts.admission.control_problem:
            problem = parts.admission.control_problem
            found.append(f"state: no control socket for `koordnri diff` and `release`: {problem}")
        return found

    def _of_cluster(self) -> list[str]:
        parts = self._parts
        found: list[str] = []
        if parts.cluster is not None:
            down = {noun: problem for noun, problem in parts.cluster.problems().items() if problem}
            if parts.cluster.policy_problem():  # that is a problem, not a warning
                down.pop("configmap", None)
            if parts.annotation is not None and parts.annotation.problem:
                found.append(f"API server: this Node cannot be annotated: {parts.annotation.problem}")
            if parts.topology is not None and parts.topology.problem:
                found.append(f"API server: NodeResourceTopology not published: {parts.topology.problem}")
            found += [f"API server: {noun} cannot be watched: {problem}" for noun, problem in down.items()]
        if parts.cluster is None and parts.present.snapshot.policy.trust.needs_namespace_labels:
            found.append("policy: namespaceSelector in trust matches no namespace: it needs the API server")
        if parts.eviction.problem:
            found.append(f"eviction: {parts.eviction.problem}")
        published = parts.present.snapshot.policy.publish_topology
        if published != "none" and parts.topology is None:
            found.append(
                f"policy: publishTopology: {published} has no effect: it needs the API server and the name of this Node"
            )
        return found
