"""Which CPUs serve each interrupt: /proc/irq/N/smp_affinity_list."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from koordnri.model.cpuset import CPUSet

_FILE = "smp_affinity_list"


class InterruptFiles:
    """Interrupts by number. `root`: directory under which the host's /proc is."""

    def __init__(self, root: Path) -> None:
        self._directory = root / "proc/irq"

    def all(self) -> dict[int, CPUSet]:
        """Number → CPUs that may serve it, of those that can be read and have any; empty without /proc/irq."""
        found: dict[int, CPUSet] = {}
        try:
            names = os.listdir(self._directory)
        except OSError:
            return found
        for name in names:
            if name.isascii() and name.isdecimal():
                with contextlib.suppress(OSError, ValueError):  # it went away meanwhile
                    if cpus := CPUSet.parse((self._directory / name / _FILE).read_text().strip()):
                        found[int(name)] = cpus
        return dict(sorted(found.items()))

    def has(self, number: int) -> bool:
        """Whether there is such an interrupt, readable or not."""
        return (self._directory / str(number)).exists()

    def set(self, number: int, cpus: CPUSet) -> None:
        """Let these CPUs serve it. Raises OSError; EIO for one whose CPUs the kernel manages itself."""
        fd = os.open(self._directory / str(number) / _FILE, os.O_WRONLY | os.O_CLOEXEC | os.O_TRUNC)
        try:
            os.write(fd, f"{cpus}\n".encode())
        finally:
            os.close(fd)
