"""What an NRI plugin in Python costs that does nothing: `bare` beside the same containers, under the same driver.

It runs in the same process as the figures of the daemon that it is compared with, for machines differ and are shared.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from koordnri.cli.bench.daemon import cpu_s, running
from koordnri.cli.bench.figures import BenchError
from koordnri.cli.bench.process import TIMEOUT_S, stop
from koordnri.runtime import Runtime
from koordnri.wire.versions import Version


class Bare(NamedTuple):
    """The bare plugin and the runtime that it is registered with."""

    runtime: Runtime
    pid: int

    def cpu_s(self) -> float:
        """User and system time so far, in seconds."""
        return cpu_s(self.pid)


@contextmanager
def started(containers: int, version: Version) -> Iterator[Bare]:
    """The bare plugin beside `containers` that run, two per pod. Raises BenchError."""
    with tempfile.TemporaryDirectory(prefix="koordnri-bench-") as name:
        path = Path(name) / "nri.sock"
        runtime = Runtime(path, version)
        for _, pod, made in running(containers):
            runtime.preload([pod], made)
        with runtime:
            process = subprocess.Popen([sys.executable, "-m", "koordnri.cli.bench.bare", str(path)])  # noqa: S603  # ourselves
            try:
                runtime.wait_for_plugin(TIMEOUT_S)
                yield Bare(runtime, process.pid)
            except TimeoutError as error:
                raise BenchError(f"the bare plugin: {error}") from None
            finally:
                stop(process)
