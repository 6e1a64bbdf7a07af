"""Licences are checked offline, and an advisory database that does not answer is never taken for one that knows of nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from tools import audit

ROOT = Path(__file__).parents[2]
LOCKED = {"one": "1.0", "two": "2.0"}
CLEAN = [{"name": name, "version": version, "vulns": []} for name, version in LOCKED.items()]


def stated(*headers: tuple[str, str]) -> Any:
    """What a package's metadata states."""
    message = Message()
    for key, value in headers:
        message[key] = value
    return message


def test_every_package_of_the_lock_has_an_allowed_licence() -> None:
    packages = audit.locked(ROOT / "requirements.lock")
    assert {"protobuf", "kubernetes", "msgspec"} <= {name for name, _ in packages}
    rows = list(audit.licences(packages))
    assert len(rows) == len(packages)
    assert [row for row in rows if not row[2]] == []


@pytest.mark.parametrize(
    ("headers", "expression", "allowed"),
    [
        (
            [("License-Expression", "MIT AND (Apache-2.0 OR BSD-2-Clause)")],
            "MIT AND (Apache-2.0 OR BSD-2-Clause)",
            True,
        ),
        ([("License-Expression", "MIT OR GPL-3.0-only")], "MIT OR GPL-3.0-only", False),
        ([("License-Expression", "Apache-2.0 WITH LLVM-exception")], "Apache-2.0 WITH LLVM-exception", False),
        ([("License", "3-Clause BSD License")], "BSD-3-Clause", True),
        ([("License", "ISC"), ("Classifier", "License :: OSI Approved :: BSD License")], "ISC", True),
        ([("License", "GPLv3"), ("Classifier", "License :: OSI Approved :: MIT License")], "GPLv3 AND MIT", False),
        ([("License", "Some\nlong text"), ("Classifier", "License :: OSI Approved :: MIT License")], "MIT", True),
        ([("License", "Some\nlong text")], "", False),
        ([], "", False),
    ],
)
def test_a_licence_is_allowed_by_its_spdx_identifier(
    headers: list[tuple[str, str]], expression: str, allowed: bool
) -> None:
    found = audit.licence(stated(*headers))
    assert (found, audit.is_allowed(found)) == (expression, allowed)


def test_another_version_than_the_locked_one_says_nothing_about_it() -> None:
    assert list(audit.licences([("click", "0.1"), ("not-installed-anywhere", "1")])) == [
        ("click 0.1", f"not known: {audit.metadata('click')['Version']} is installed instead", False),
        ("not-installed-anywhere 1", "not known: it is not installed here", False),
    ]


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "some.lock"
    path.write_text("".join(f"{name}=={version} \\\n    --hash=sha256:00\n" for name, version in LOCKED.items()))
    return path


def answered(lock: Path, output: str, error: str = "") -> audit.Advisories:
    """What is made of pip-audit's output."""
    program = f"import sys; print({output!r}); print({error!r}, file=sys.stderr); sys.exit(1)"
    return audit.advisories(lock, (sys.executable, "-c", program))


def test_an_advisory_is_named_with_the_version_that_mends_it(lock: Path) -> None:
    vulnerability = {"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": [], "description": "…"}
    found = answered(lock, json.dumps({"dependencies": [{**CLEAN[0], "vulns": [vulnerability]}, CLEAN[1]]}))
    assert found == audit.Advisories(("one 1.0: PYSEC-1, fixed in 1.1",), ())


def test_a_database_that_knows_of_nothing_leaves_nothing_open(lock: Path) -> None:
    assert answered(lock, json.dumps({"dependencies": CLEAN})) == audit.Advisories((), ())


def test_packages_that_a_database_lacks_are_not_checked(lock: Path) -> None:
    """pip-audit then exits with 0 and says `No known vulnerabilities found`."""
    skipped = {"name": "two", "skip_reason": "Dependency not found on PyPI"}
    found = answered(lock, json.dumps({"dependencies": [CLEAN[0], skipped]}))
    assert found == audit.Advisories((), ("two: Dependency not found on PyPI",))


def test_packages_that_were_not_asked_for_are_not_checked(lock: Path) -> None:
    found = answered(lock, json.dumps({"dependencies": CLEAN[:1]}))
    assert found == audit.Advisories((), ("two: not asked for on this platform",))


@pytest.mark.parametrize(("output", "error"), [("", "ConnectionError: no route"), ("[]", "ConnectionError: no route")])
def test_a_database_that_is_not_reached_leaves_everything_unchecked(lock: Path, output: str, error: str) -> None:
    found = answered(lock, output, f"Traceback …\n{error}")
    assert found == audit.Advisories((), (f"all packages: no advisory database was reached: {error}",))


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (audit.Advisories((), ()), 0),
        (audit.Advisories(("one 1.0: PYSEC-1, fixed in 1.1",), ("two: …",)), audit.FOUND),
        (audit.Advisories((), ("two: …",)), audit.NOT_CHECKED),
    ],
)
def test_the_exit_code_keeps_not_checked_apart_from_nothing_found(
    monkeypatch: pytest.MonkeyPatch, found: audit.Advisories, code: int
) -> None:
    monkeypatch.setattr(audit, "advisories", lambda _: found)
    assert audit.main([]) == code


def test_lint_checks_the_licences_without_a_network() -> None:
    done = subprocess.run(["make", "--dry-run", "lint"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "tools/audit.py --licences" in done.stdout
