"""Keeps interrupts off exclusive CPUs, where the policy asks for it and the daemon may write /proc/irq; and gives them back.

An interrupt is served by the CPUs that it had before us, without the exclusive ones; where none is left, by all shared ones. What it had is
saved before the first write. Each sweep compares again, so that a foreign write is healed within 10 s. The kernel keeps some interrupts
where they are (one per CPU, or managed by their driver; EIO): those are left alone. What it refuses otherwise is tried again.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable

from koordnri.chain import Snapshot
from koordnri.host.interrupts import InterruptFiles
from koordnri.model import Pod
from koordnri.model.assigned import assigned_on
from koordnri.model.cpuset import NO_CPUS, CPUSet
from koordnri.model.log import Log

RIGHT = "interrupts"
"""word of `--write`"""


class Interrupts:
    """Used by the reconcile thread.

    originals   number → CPUs before us, as saved
    save        saves the originals now; reports a failure itself
    """

    def __init__(
        self, files: InterruptFiles, originals: dict[int, CPUSet], save: Callable[[dict[int, CPUSet]], None], log: Log
    ) -> None:
        self._files = files
        self._originals = dict(originals)
        self._save = save
        self._log = log
        self._refused: dict[int, tuple[CPUSet, int | None]] = {}
        """number → CPUs that the kernel refused, and its errno. After EIO they are not tried again"""

    def follow(self, snapshot: Snapshot, pods: Iterable[Pod]) -> None:
        """Bring all interrupts to what follows from the present exclusive CPUs. `pods`: all of the node."""
        exclusive = _exclusive(snapshot, pods)
        if not exclusive and not self._originals:
            return
        present = self._files.all()
        online = NO_CPUS if snapshot.node.topology is None else snapshot.node.topology.online
        befores = {number: self._originals.get(number, cpus) for number, cpus in present.items()}
        wanted = {number: (before - exclusive) or (online - exclusive) or before for number, before in befores.items()}
        moves = {
            n: cpus for n, cpus in wanted.items() if cpus != present[n] and self._refused.get(n) != (cpus, errno.EIO)
        }
        unread = {n: cpus for n, cpus in self._originals.items() if n not in present and self._files.has(n)}
        self._keep(unread | {n: cpus for n, cpus in befores.items() if n in self._originals or n in moves})
        left = {number: befores[number] for number, cpus in moves.items() if not self._move(number, cpus)}
        if not exclusive:
            self._keep(unread | left)

    def _keep(self, originals: dict[int, CPUSet]) -> None:
        if originals != self._originals:
            self._originals = originals
            self._save(originals)

    def _move(self, number: int, cpus: CPUSet) -> bool:
        """Returns whether that is settled: False if it may succeed at a later sweep, as when no CPU has a free vector (ENOSPC)."""
        try:
            self._files.set(number, cpus)
        except OSError as error:
            refused = (cpus, error.errno)
            if self._refused.get(number) != refused:
                self._log.info("interrupt_stays", number=number, cpus=str(cpus), error=error.strerror)
            self._refused[number] = refused
            return error.errno == errno.EIO
        self._refused.pop(number, None)
        return True


def _exclusive(snapshot: Snapshot, pods: Iterable[Pod]) -> CPUSet:
    """The CPUs that interrupts are kept off."""
    policy, node = snapshot
    wanted = policy.cpuset.keep_interrupts_off and policy.hook_mode("cpuset") == "enforce"
    if not wanted or RIGHT not in node.writes or "*" in node.released:
        return NO_CPUS
    found = NO_CPUS
    for of_pod in node.exclusive_cpus.values():
        for cpus in of_pod.values():
            found |= cpus
    for pod in pods:
        found |= assigned_on(pod, node)
    return found
