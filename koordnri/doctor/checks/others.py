"""Programs beside koordnri that write the same settings."""

from __future__ import annotations

from collections.abc import Iterator

from koordnri.doctor.agents import AGENTS
from koordnri.doctor.codes import Finding
from koordnri.doctor.facts import Facts


def check(facts: Facts) -> Iterator[Finding]:
    """Other agents, and second daemons."""
    for name in facts.agents:
        fix = (
            "switch off those of its features that koordnri takes over (its option --feature-gates), or keep it off this node"
            if name == "koordlet"
            else f"run only one of {name} and koordnri on a node, for example by a node label in both DaemonSets' nodeSelector"
        )
        yield Finding(
            "KN0601", name, f"it runs on this node, and writes {AGENTS[name]}; each undoes the other's values", fix
        )
    if len(facts.koordnri_pids) > 1:
        pids = ", ".join(str(pid) for pid in facts.koordnri_pids)
        yield Finding(
            "KN0602",
            f"pids {pids}",
            "two registrations of one plugin make every creation of a container fail; the lock in the state directory keeps the second one "
            "from registering only if both have the same --state-dir",
            "stop all but one: kubectl get pods -A -o wide | grep koordnri; systemctl stop koordnri",
        )
