"""How soon the daemon heals a value that somebody else overwrote, measured by reading the file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from itertools import cycle, islice
from pathlib import Path

from koordnri.cli.bench.daemon import BenchedDaemon
from koordnri.cli.bench.figures import BenchError, percentiles

FOREIGN = {"cpu.max": "12000 100000"}
"""File name → foreign value to write; for other files, FOREIGN_BYTES bytes."""
FOREIGN_BYTES = "4096"
PAUSE_S = 0.05
"""s between two writes, so that the daemon is idle again before the next one"""
LOOK_S = 0.0002


def healed_ms(daemon: BenchedDaemon, files: Iterable[Path], writes: int) -> dict[str, float]:
    """Milliseconds from each foreign write of a file until it has its value again, over `writes` writes. Raises BenchError."""
    took = []
    for file in islice(cycle(files), writes):
        time.sleep(PAUSE_S)
        took.append(_healed_s(daemon, file) * 1e3)
    daemon.settle()
    healed = daemon.metrics().total("koordnri_drift_healed_total")
    if healed < writes:
        raise BenchError(
            f"expected {writes} files to be healed, and counted as drift, got {healed:.0f}\n{daemon.tail()}"
        )
    return percentiles(took)


def _healed_s(daemon: BenchedDaemon, file: Path) -> float:
    wanted = file.read_text().strip()
    foreign = FOREIGN.get(file.name, FOREIGN_BYTES)
    # One write, as into a cgroup's file; blanks overwrite the rest of a longer value.
    data = f"{foreign}\n".ljust(file.stat().st_size)
    fd = os.open(file, os.O_WRONLY)
    began = time.perf_counter()
    os.pwrite(fd, data.encode(), 0)
    os.close(fd)
    daemon.wait_until(lambda: file.read_text().strip() == wanted, LOOK_S, f"{file} to be {wanted} again")
    return time.perf_counter() - began
