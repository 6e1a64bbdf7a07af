"""What koordnri itself needs: user, mounts, the state directory."""

from __future__ import annotations

from collections.abc import Iterator

from koordnri.doctor.codes import Finding
from koordnri.doctor.facts import Facts


def check(facts: Facts) -> Iterator[Finding]:
    """Rights and mounts."""
    ours = facts.ours
    if ours.uid != 0:
        yield Finding(
            "KN0701",
            f"user {ours.uid}",
            "only root may write cgroup files and open the NRI socket; what follows is what this user can see",
            "on the host: sudo koordnri doctor; in a pod: securityContext.runAsUser: 0",
        )
    if not ours.host_found:
        root = ours.host_root.rstrip("/")
        yield Finding(
            "KN0703",
            ours.host_root,
            f"expected the host's processes and devices in {root}/proc and {root}/sys",
            "give --host-root the directory under which they are; in a pod mount the hostPaths /proc and /sys there, as the chart does",
        )
    if ours.state_problem:
        yield Finding(
            "KN0702",
            ours.state_dir,
            f"{ours.state_problem}: notes about what was set are lost by a restart, and nothing keeps a second daemon from registering",
            "make room, or mount a directory of the host there that root can write (chart: stateDir)",
        )
    for problem in facts.problems:
        path, _, what = problem.partition(": ")
        yield Finding(
            "KN0704", path, what or problem, "see what the file holds; koordnri goes on as if this fact were not known"
        )
