"""Print what the end-to-end tests ran on, as a Markdown table: suite by runtime, OCI runtime and cgroups, with the tests that passed.

    python tools/matrix.py          after `make test-full` or .ci/run

It reads the reports that pytest left: .cache/junit/*.xml of this machine (.ci/run writes them), and those of the virtual machines. A cell
has how many tests passed; `12 (1 failed)` where others did not. An absent report is an absent column.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
_SUITE = re.compile(r"tests\.e2e\.test_(?:e2e_)?(\w+)")
_OF_RUNTIME = re.compile(r"\[(?:[^\]]*-)?(crio|containerd-[\d.]+)(?:-[^\]]*)?\]")


class Where(NamedTuple):
    """What a test ran on."""

    runtime: str
    oci: str
    cgroups: str


class Case(NamedTuple):
    """One test of a report."""

    where: Where
    suite: str
    passed: bool


def cases_of(report: Path, where: Where) -> Iterable[Case]:
    """The end-to-end tests in a JUnit file. A test that names its runtime ran on that one; skipped ones are left out."""
    for case in ElementTree.parse(report).iter("testcase"):
        suite = _SUITE.match(case.get("classname", ""))
        if suite is None or case.find("skipped") is not None:
            continue
        named = _OF_RUNTIME.search(case.get("name", ""))
        passed = case.find("failure") is None and case.find("error") is None
        yield Case(where._replace(runtime=named[1]) if named else where, suite[1], passed)


def reports(cache: Path, cgroups: str) -> Mapping[Path, Where]:
    """Report → what its tests ran on, where they do not say it themselves."""
    found = {path: Where("its own", "runc", cgroups) for path in sorted((cache / "junit").glob("*.xml"))}
    for path in sorted((cache / "lab" / "vm").glob("e2e-out-*/junit-*-*.xml")):
        # junit-containerd-2-runc.xml, as tests/e2e_vm/job.py names them
        runtime, _, oci = path.stem.removeprefix("junit-").rpartition("-")
        found[path] = Where(runtime, oci, "v2, systemd")
    return found


def table(cases: Iterable[Case]) -> str:
    """Markdown. The last row has the sums."""
    passed: Counter[tuple[str, Where]] = Counter()
    failed: Counter[tuple[str, Where]] = Counter()
    for case in cases:
        for row in (case.suite, "all"):
            (passed if case.passed else failed)[row, case.where] += 1
    keys = passed.keys() | failed.keys()
    columns = sorted({where for _, where in keys}, key=lambda where: (where.cgroups, *where))
    suites = [*sorted({suite for suite, _ in keys} - {"all"}), "all"]
    lines = ["| suite | " + " | ".join(f"{w.runtime}, {w.oci}, {w.cgroups}" for w in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for suite in suites:
        cells = [_cell(passed[suite, where], failed[suite, where]) for where in columns]
        lines.append(f"| {suite} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(passed: int, failed: int) -> str:
    if failed:
        return f"{passed} ({failed} failed)"
    return str(passed) if passed else ""


def main() -> int:
    cgroups = "v2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "v1, cgroupfs"
    found = reports(CACHE, cgroups)
    if not found:
        sys.stderr.write(f"no reports below {CACHE}: run .ci/run, or pytest with --junitxml={CACHE}/junit/NAME.xml\n")
        return 1
    sys.stdout.write(table(case for path, where in found.items() for case in cases_of(path, where)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
