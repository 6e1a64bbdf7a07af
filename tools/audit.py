"""Check the packages that run in the daemon: their licences, and known vulnerabilities of their versions.

    tools/audit.py [--licences]

It prints each package of requirements.lock with its licence, and fails (exit code 1) where one is not in ALLOWED. `make lint` runs it with
--licences, which needs no network. `make audit` also asks an advisory database through pip-audit, which takes its own settings from the
environment (PIP_AUDIT_VULNERABILITY_SERVICE=osv, …): exit code 1 where a version has an advisory, 2 where packages could not be checked.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
FOUND, NOT_CHECKED = 1, 2
"""exit codes"""

ALLOWED = frozenset(
    ("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "PSF-2.0", "Unlicense", "Zlib")
)
"""By SPDX identifier: licences that ask for no more than notices, and MPL-2.0, which is about changes of its own files; we change none."""

SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""What packages without an SPDX expression state → its identifier."""

ADVISORIES = (
    sys.executable,
    "-m",
    "pip_audit",
    "--require-hashes",
    "--disable-pip",
    "--progress-spinner=off",
    "--format=json",
)
"""Nothing is installed or resolved for it: the lock has every version."""

_ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Advisories:
    """What a database knows of the packages of a lock."""

    known: tuple[str, ...]
    """one line for each advisory"""
    unchecked: tuple[str, ...]
    """of which packages nothing is known, with the reason; or the reason why nothing is known at all"""


def locked(lock: Path) -> list[tuple[str, str]]:
    """(Name, version) of each entry."""
    return [(entry["name"], entry["version"]) for entry in _ENTRY.finditer(lock.read_text())]


def licence(package: PackageMetadata) -> str:
    """The licence that a package states, as an SPDX expression where that is known; empty: it states none."""
    if expression := package.get("License-Expression"):
        return str(expression)
    field = str(package.get("License") or "")
    if (own := SPDX.get(field, field)) in ALLOWED:
        return own
    classifiers = [c.rpartition(" :: ")[2] for c in package.get_all("Classifier") or () if c.startswith("License ::")]
    return " AND ".join(SPDX.get(line, line) for line in (field, *classifiers) if line and "\n" not in line)


def is_allowed(expression: str) -> bool:
    """Whether every licence that the expression names is allowed. Of alternatives (OR), too: a person chooses among them, not this tool."""
    named = set(re.split(r"[()\s]+|\b(?:AND|OR)\b", expression)) - {""}
    return bool(named) and named <= ALLOWED


def licences(packages: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, bool]]:
    """(Package, its licence, whether it is allowed) of each."""
    for name, version in packages:
        try:
            installed = metadata(name)
        except PackageNotFoundError:
            yield f"{name} {version}", "not known: it is not installed here", False
            continue
        if installed["Version"] != version:
            yield f"{name} {version}", f"not known: {installed['Version']} is installed instead", False
            continue
        stated = licence(installed)
        yield f"{name} {version}", stated or "states none", is_allowed(stated)


def advisories(lock: Path, program: Sequence[str] = ADVISORIES) -> Advisories:
    """Ask a database through pip-audit. It fails in ways that look like success: packages that a database lacks count as skipped."""
    done = subprocess.run([*program, "--requirement", str(lock)], capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        return Advisories((), (f"all packages: no advisory database was reached: {reason}",))
    known, unchecked = [], []
    for package in packages:
        if "skip_reason" in package:
            unchecked.append(f"{package['name']}: {package['skip_reason']}")
        for one in package.get("vulns", ()):
            fixed = ", ".join(one.get("fix_versions") or ()) or "no version"
            known.append(f"{package['name']} {package['version']}: {one['id']}, fixed in {fixed}")
    missing = {name for name, _ in locked(lock)} - {package["name"] for package in packages}
    # An entry for another platform or Python is not asked for.
    unchecked += [f"{name}: not asked for on this platform" for name in sorted(missing)]
    return Advisories(tuple(known), tuple(unchecked))


def _check_licences() -> int:
    rows = list(licences(locked(LOCK)))
    width = max(len(package) for package, _, _ in rows)
    for package, stated, allowed in rows:
        print(f"{package:{width}}  {stated}{'' if allowed else '  NOT ALLOWED'}")
    refused = [package for package, _, allowed in rows if not allowed]
    if refused:
        print(f"licences of {', '.join(refused)}: expected one of {', '.join(sorted(ALLOWED))}", file=sys.stderr)
    return FOUND if refused else 0


def _check_advisories() -> int:
    found = advisories(LOCK)
    for line in found.known:
        print(f"ADVISORY     {line}")
    for line in found.unchecked:
        print(f"NOT CHECKED  {line}")
    if not found.known and not found.unchecked:
        print(f"no advisory is known for the {len(locked(LOCK))} packages of {LOCK.name}")
    return FOUND if found.known else NOT_CHECKED if found.unchecked else 0


def main(arguments: Sequence[str]) -> int:
    """Return the exit code."""
    if arguments not in ([], ["--licences"]):
        print(__doc__)
        return 2
    codes = [_check_licences()] + ([] if arguments else [_check_advisories()])
    return FOUND if FOUND in codes else max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
