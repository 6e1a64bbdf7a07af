"""promtool for the tests of the alerts, from Debian's package `prometheus`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from lab import apt


def setup(lab_dir: Path) -> Path:
    """Return `lab_dir`/bin/promtool, fetched if it is missing (19 MB). Raises apt.AptError or OSError."""
    promtool = lab_dir / "bin" / "promtool"
    if promtool.exists():
        return promtool
    promtool.parent.mkdir(parents=True, exist_ok=True)
    # The machine's own suite: the program is linked with its libc.
    (deb,) = apt.download(lab_dir, apt.machine_suite(), ["prometheus"])
    with tempfile.TemporaryDirectory(dir=promtool.parent) as directory:
        apt.unpack(deb, Path(directory) / "prometheus")
        shutil.move(Path(directory) / "prometheus/usr/bin/promtool", promtool)
    return promtool


if __name__ == "__main__":
    print(setup(Path(".cache/lab")))
