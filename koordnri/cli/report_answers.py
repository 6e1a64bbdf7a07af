"""The daemon's answers in the file that `koordnri report` wrote. The file comes from somewhere else, so nothing of it is trusted."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from koordnri.cli.bundle import MANIFEST, MOST_BYTES, MOST_PART_BYTES
from koordnri.cli.report import OF_PODS, QUESTIONS, part_of_pod
from koordnri.observe.questions import BadQuestion, NotHere, Parameters, Question

_MOST_PARTS = 2000
"""members that are looked at; a report has two per pod, and some twenty more"""
_PART = re.compile(r"[^/]+/(v1/[\w./-]+\.json|report\.json)")


class NoReport(ValueError):
    """The file is none that `koordnri report` wrote; the message says why."""


class ReportFile:
    """What is in the file, in memory: MOST_BYTES at most, as when it was written."""

    def __init__(self, path: Path) -> None:
        """Raises NoReport, OSError."""
        self._parts = _read(path)
        if MANIFEST not in self._parts:
            raise NoReport(f"{path}: expected a file that `koordnri report` wrote, with {MANIFEST} in it")
        manifest = self._value(MANIFEST)
        self.made = _iso(str(manifest.get("made", "")))
        """when (UTC)"""
        missing = manifest.get("missing")
        self._missing: Mapping[str, Any] = missing if isinstance(missing, dict) else {}

    def questions(self) -> Mapping[str, Question]:
        """NAME → question, answered from the file as far as it goes. The status has the key `report` besides."""

        def of_node(name: str) -> Question:
            return lambda _: self._answer(f"v1/{name}.json")

        def of_pod(name: str) -> Question:
            return lambda parameters: self._answer(part_of_pod(name, _pod(parameters)))

        return {
            **{name: of_node(name) for name in QUESTIONS},
            **{name: of_pod(name) for name in OF_PODS},
            "status": lambda _: {**self._answer("v1/status.json"), "report": self.made},
        }

    def _answer(self, part: str) -> dict[str, Any]:
        if part not in self._parts:
            why = self._missing.get(part) or self._missing.get("v1")
            raise NotHere(f"{part} is not in this report{f': {why}' if why else ''}")
        return self._value(part)

    def _value(self, part: str) -> dict[str, Any]:
        try:
            value = json.loads(self._parts[part])
        except (ValueError, RecursionError):
            raise NotHere(f"{part} of this report is cut or broken") from None
        if not isinstance(value, dict):
            raise NotHere(f"{part} of this report is no JSON object")
        return value


def _read(path: Path) -> dict[str, bytes]:
    """Name below the top directory → content, of parts that answer a question. Nothing is unpacked to the disk."""
    parts: dict[str, bytes] = {}
    room = MOST_BYTES
    try:
        with tarfile.open(path, "r|gz") as tar:
            for count, member in enumerate(tar):
                if count >= _MOST_PARTS or room < 0:
                    raise NoReport(f"{path}: it has more in it than `koordnri report` writes")
                room -= member.size
                found = _PART.fullmatch(member.name)
                file = tar.extractfile(member) if found and member.isreg() else None
                if found and file is not None and room >= 0:
                    parts[found[1]] = file.read(MOST_PART_BYTES)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise error if isinstance(error, NoReport) else NoReport(f"{path}: {error}") from None
    return parts


def _pod(parameters: Parameters) -> str:
    if "pod" not in parameters:
        raise BadQuestion('expected the parameter "pod"')
    return parameters["pod"]


def _iso(made: str) -> str:
    """`20261129T114500Z` as `2026-11-29T11:45:00Z`; another text as it is."""
    return re.sub(r"^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$", r"\1-\2-\3T\4:\5:\6Z", made)
