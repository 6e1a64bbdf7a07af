"""The lock files cover pyproject.toml, every entry has hashes, and nothing in them belongs to one machine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

LOCKS = [f"requirements{part}.lock" for part in ("", "-audit", "-build", "-dev", "-fuzz")]
ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)", re.MULTILINE)


def locked(lock: Path) -> dict[str, Version]:
    return {canonicalize_name(m["name"]): Version(m["version"]) for m in ENTRY.finditer(lock.read_text())}


@pytest.fixture(scope="module")
def pyproject(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


def assert_satisfied(requirements: list[str], versions: dict[str, Version], lock: str) -> None:
    for text in requirements:
        wanted = Requirement(text)
        version = versions.get(canonicalize_name(wanted.name))
        assert version is not None, f"{lock} lacks {text}: run `make lock`"
        assert wanted.specifier.contains(version, prereleases=True), f"{lock} has {wanted.name} {version}, not {text}"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_lock_satisfies_the_run_time_dependencies(root: Path, pyproject: dict[str, Any], lock: str) -> None:
    assert_satisfied(pyproject["project"]["dependencies"], locked(root / lock), lock)


def test_dev_lock_satisfies_the_dev_extra(root: Path, pyproject: dict[str, Any]) -> None:
    lock = "requirements-dev.lock"
    assert_satisfied(pyproject["project"]["optional-dependencies"]["dev"], locked(root / lock), lock)


@pytest.mark.parametrize("lock", ["requirements-build.lock", "requirements-dev.lock"])
def test_lock_holds_the_build_back_end(root: Path, pyproject: dict[str, Any], lock: str) -> None:
    assert_satisfied([*pyproject["build-system"]["requires"], "editables"], locked(root / lock), lock)


def test_tests_run_on_the_versions_of_the_image(root: Path) -> None:
    image, dev = locked(root / "requirements.lock"), locked(root / "requirements-dev.lock")
    assert image.items() <= dev.items()


def test_what_make_audit_adds_changes_no_version_of_the_tests(root: Path) -> None:
    audit, dev = locked(root / "requirements-audit.lock"), locked(root / "requirements-dev.lock")
    assert "pip-audit" in audit
    common = audit.keys() & dev.keys()
    assert {name: audit[name] for name in common} == {name: dev[name] for name in common}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_has_a_hash(root: Path, lock: str) -> None:
    entries = re.split(r"^(?=[A-Za-z0-9])", (root / lock).read_text(), flags=re.MULTILINE)[1:]
    assert entries
    assert [e.split()[0] for e in entries if "--hash=sha256:" not in e] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_nothing_of_one_machine_is_in_a_lock(root: Path, lock: str) -> None:
    line = re.compile(
        r"""\s*\#.*                                                       # comment
          | [A-Za-z0-9._-]+==[A-Za-z0-9.+!]+(\ ;\ [^\\@]+)?\ \\         # name==version ; marker
          | \ {4}--hash=sha256:[0-9a-f]{64}(\ \\)?""",
        re.VERBOSE,
    )
    text = (root / lock).read_text()
    assert [number for number, row in enumerate(text.splitlines(), 1) if not line.fullmatch(row)] == []
    assert not re.search(r"://|(^|\s)\.?/", text), "a URL or a path"
