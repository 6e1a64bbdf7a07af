"""Gives the processes of containers core scheduling cookies, by group, under `policies.cpuPolicy: coreSched`.

    class   its cpuQOS must be enabled; by the label, else Kubernetes' class. SYSTEM never
    group   the label `koordinator.sh/core-sched-group-id`, within the pod's namespace; without it, all pods of the node are one group
    policy  the label `koordinator.sh/core-sched-policy`: `exclusive` is a group of the pod alone, `none` no cookie
    expeller   classes with coreExpeller are groups apart from those without, so that these leave the cores of those

All processes of a group have one cookie. A new process has its parent's; a new container follows at the next sweep, within 10 s. A
container that is in no group any more gives its cookie back. It takes `--write processes`, and the capability SYS_PTRACE for processes of
other users. Our own processes have none, by which others lose theirs. Source: koordinator.md 5.5.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from koordnri.chain import Snapshot
from koordnri.host.cgroup.paths import container_directory
from koordnri.host.cgroup.process_files import process_ids
from koordnri.host.core_scheduling import NO_COOKIE, CoreScheduling
from koordnri.model import NodeError, Pod, QoSClass
from koordnri.model.log import Log
from koordnri.resctrl.choice import left_alone
from koordnri.state.ledger import Ledger
from koordnri.state.world import World

GROUP_LABEL, POLICY_LABEL = "koordinator.sh/core-sched-group-id", "koordinator.sh/core-sched-policy"
ORIGINAL = "sched.core"
"""name under which the ledger notes that a container has a cookie of ours"""
RIGHT = "processes"
CORE_SCHED = "coreSched"
"""the `cpuPolicy` under which there are groups"""
_EXPELLER = "-expeller"


def group_of(pod: Pod, snapshot: Snapshot) -> str | None:
    """The group of a pod; None: no cookie."""
    policy, node = snapshot
    qos, wish = pod.qos_or_default, pod.labels.get(POLICY_LABEL, "")
    if (
        policy.qos.policies.cpu_policy != CORE_SCHED
        or RIGHT not in node.writes
        or left_alone(pod, policy, node.released)
    ):
        return None
    of_class = policy.qos.of(qos)
    if of_class is None or not of_class.cpu.enable or qos is QoSClass.SYSTEM or wish == "none":
        return None
    named = pod.labels.get(GROUP_LABEL, "")
    group = pod.uid if wish == "exclusive" else f"{pod.namespace}/{named}" if named else ""
    return group + _EXPELLER if of_class.cpu.core_expeller else group


class CoreSchedulingGroups:
    """Used by the reconcile thread. `root`: directory under which the host's /sys and /proc are."""

    def __init__(
        self,
        root: Path,
        ledger: Ledger,
        log: Log,
        kernel: CoreScheduling | None = None,
        pids: Callable[[str], list[int]] = process_ids,
    ) -> None:
        self._root = root
        self._ledger = ledger
        self._log = log
        self._kernel = kernel or CoreScheduling()
        self._pids = pids
        self._errors: frozenset[str] = frozenset()

    def follow(self, world: World) -> None:
        """Bring the cookies of all containers to what follows from the policy."""
        if world.snapshot.policy.qos.policies.cpu_policy != CORE_SCHED and not self._ledger.any_original(ORIGINAL):
            self._errors = frozenset()
            return
        groups: dict[str, dict[str, list[int]]] = {}
        errors: set[str] = set()
        for pod in self._ledger.pods():
            group = group_of(pod, world.snapshot)
            for entry in self._ledger.containers_of(pod.id):
                ours = ORIGINAL in self._ledger.originals(entry.id)
                if (group is None and not ours) or not entry.started or entry.ended:
                    continue
                pids = self._processes(pod, entry.id, world)
                if group is not None:
                    groups.setdefault(group, {})[entry.id] = pids
                else:
                    self._clear(entry.id, pids, errors)
        if groups and (why := self._kernel.why_not()):
            groups, errors = {}, {why}
        taken = {NO_COOKIE}
        for containers in groups.values():
            taken.add(self._share(containers, taken, errors))
        for error in errors - self._errors:
            self._log.warning("core_scheduling", error=error)
        self._errors = frozenset(errors)

    def _processes(self, pod: Pod, container_id: str, world: World) -> list[int]:
        try:
            directory = container_directory(pod.cgroup_parent, container_id, world.runtime)
            hierarchy = "cpu/" if world.snapshot.node.cgroup_version == 1 else ""
            found = self._pids(f"{self._root / 'sys/fs/cgroup'}/{hierarchy}{directory}")
        except (NodeError, OSError):  # it has ended, or its cgroup is reported as unusable elsewhere
            return []
        return [] if os.getpid() in found else found

    def _clear(self, container_id: str, pids: list[int], errors: set[str]) -> None:
        refused = self._kernel.clear(pid for pid, cookie in self._cookies(pids).items() if cookie != NO_COOKIE)
        errors |= {f"a cookie cannot be cleared: {error.strerror}" for error in refused}
        if not refused:
            self._ledger.restored(container_id, ORIGINAL)

    def _share(self, containers: dict[str, list[int]], taken: set[int], errors: set[str]) -> int:
        """One cookie for all processes of a group, and return it: the one that most of them have and no other group, else a new one."""
        cookies = self._cookies(pid for pids in containers.values() for pid in pids)
        if not cookies:
            return NO_COOKIE
        for container_id, pids in containers.items():
            if pids and ORIGINAL not in self._ledger.originals(container_id):
                self._ledger.wrote(container_id, ORIGINAL, NO_COOKIE)
        try:
            return self._give_one(cookies, taken, errors)
        except OSError as error:
            errors.add(f"a cookie cannot be given: {error.strerror}")
            return NO_COOKIE

    def _give_one(self, cookies: dict[int, int], taken: set[int], errors: set[str]) -> int:
        most = Counter(cookie for cookie in cookies.values() if cookie not in taken).most_common(1)
        if most:
            wanted = most[0][0]
            source = next(pid for pid, cookie in cookies.items() if cookie == wanted)
        else:
            source = next(iter(cookies))
            self._kernel.create(source)
            wanted = cookies[source] = self._kernel.cookie(source)
        if others := [pid for pid, cookie in cookies.items() if cookie != wanted]:
            refused = self._kernel.share(source, others)
            errors |= {f"a cookie cannot be given: {error.strerror}" for error in refused}
        return wanted

    def _cookies(self, pids: Iterable[int]) -> dict[int, int]:
        """Process → cookie, without processes that have ended."""
        found = {}
        for pid in pids:
            try:
                found[pid] = self._kernel.cookie(pid)
            except OSError:
                continue
        return found
