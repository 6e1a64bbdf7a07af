"""The Dockerfile, as far as it can be judged without a container engine: it is read here, not built."""

from __future__ import annotations

import fnmatch
import json
import re
from pathlib import Path, PurePosixPath

import pytest

Instruction = tuple[str, str]

KNOWN = {"ARG", "FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "EXPOSE", "ENTRYPOINT"}


def parse(text: str) -> list[Instruction]:
    rows = [row for row in text.splitlines() if row.strip() and not row.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(rows))
    return [(word, rest.strip()) for word, _, rest in (row.partition(" ") for row in joined.splitlines())]


@pytest.fixture(scope="module")
def instructions(root: Path) -> list[Instruction]:
    return parse((root / "Dockerfile").read_text())


@pytest.fixture(scope="module")
def stages(instructions: list[Instruction]) -> list[list[Instruction]]:
    result: list[list[Instruction]] = []
    for instruction in instructions:
        if instruction[0] == "FROM":
            result.append([])
        if result:
            result[-1].append(instruction)
    return result


def in_build_context(root: Path, source: str) -> bool:
    """As .dockerignore says: the last pattern that matches decides."""
    included = True
    for row in (root / ".dockerignore").read_text().splitlines():
        if row and not row.startswith("#"):
            pattern = row.removeprefix("!")
            if any(
                fnmatch.fnmatch(str(part), pattern) for part in [PurePosixPath(source), *PurePosixPath(source).parents]
            ):
                included = row.startswith("!")
    return included


def test_only_instructions_we_know(instructions: list[Instruction]) -> None:
    assert {word for word, _ in instructions} <= KNOWN


def test_every_stage_starts_from_the_base_argument(instructions: list[Instruction]) -> None:
    assert instructions[0] == ("ARG", "PYTHON_IMAGE=python:3.13-slim")
    assert [rest.split()[0] for word, rest in instructions if word == "FROM"] == ["${PYTHON_IMAGE}"] * 2


def test_copied_files_exist_and_are_not_ignored(root: Path, stages: list[list[Instruction]]) -> None:
    sources = [s for word, rest in stages[0] if word == "COPY" for s in rest.split()[:-1]]
    assert {"requirements.lock", "pyproject.toml", "koordnri", "hooks"} <= set(sources)
    assert [s for s in sources if not (root / s).exists()] == []
    assert [s for s in sources if not in_build_context(root, s)] == []
    assert not in_build_context(root, ".git")


def test_final_stage_takes_only_the_environment_of_an_earlier_one(stages: list[list[Instruction]]) -> None:
    build_stage = stages[0][0][1].split()[-1]
    assert [rest for word, rest in stages[1] if word == "COPY"] == [f"--from={build_stage} /opt/koordnri /opt/koordnri"]
    assert [rest for word, rest in stages[1] if word == "RUN"] == []


def test_downloads_need_a_hash(stages: list[list[Instruction]]) -> None:
    commands = [c for word, rest in stages[0] if word == "RUN" for c in rest.split("&&")]
    installs = [c for c in commands if "pip install" in c or "pip wheel" in c]
    assert installs
    assert [c for c in installs if "--require-hashes" not in c and "--no-deps" not in c] == []


def test_byte_code_depends_on_nothing_but_its_source(stages: list[list[Instruction]]) -> None:
    """pip would put the time of each source into its byte code, and the engine then sets another time."""
    commands = [c.strip() for word, rest in stages[0] if word == "RUN" for c in rest.split("&&")]
    kept = [c for c in commands if c.startswith("/opt/koordnri/bin/pip install")]
    assert kept
    assert [c for c in kept if "--no-compile" not in c] == []
    (compiled,) = [c for c in commands if "compileall" in c]
    assert compiled.startswith("PYTHONHASHSEED=0 ")
    assert "--invalidation-mode unchecked-hash" in compiled
    assert commands[-1].startswith("find /opt/koordnri -exec touch")


def test_the_image_runs_the_daemon(stages: list[list[Instruction]]) -> None:
    (entrypoint,) = [rest for word, rest in stages[1] if word == "ENTRYPOINT"]
    assert json.loads(entrypoint) == ["koordnri", "run"]
