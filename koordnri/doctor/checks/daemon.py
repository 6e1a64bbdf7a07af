"""What the running daemon reports about itself."""

from __future__ import annotations

from collections.abc import Iterator

from koordnri.doctor.codes import Finding
from koordnri.doctor.facts import Facts

# Not `logs ds/koordnri`: of several nodes, kubectl shows any one's.
_LOG = "kubectl -n koordnri-system logs POD, where POD is the daemon's pod on this node, or the journal of its service"


def check(facts: Facts) -> Iterator[Finding]:
    """Whether it runs, and is well."""
    daemon, state_dir = facts.daemon, facts.ours.state_dir
    if daemon.problem:
        yield Finding("KN0902", state_dir, daemon.problem, f"see the daemon's log: {_LOG}")
    elif not daemon.running:
        yield Finding(
            "KN0901",
            state_dir,
            "there is no control socket: containers start without koordnri. What the daemon would say is missing here",
            "start it: helm install, kubectl apply -k deploy/, or koordnri run; if it runs with another --state-dir, name that one. "
            "Before the daemon's first start, as in the chart's init container, nothing has to be done",
        )
    for problem in daemon.problems:
        subject, _, what = problem.partition(": ")
        yield Finding(
            "KN0903",
            subject,
            what or problem,
            f"see the findings of the runtime (KN01…) first, then the daemon's log: {_LOG}",
        )
    for problem in daemon.warnings:
        subject, _, what = problem.partition(": ")
        yield Finding("KN0904", subject, what or problem, f"see the daemon's log: {_LOG}")
