"""Reads a policy from a file, or from the directory of a mounted ConfigMap."""

from __future__ import annotations

import os
from pathlib import Path

from koordnri.policy.document import PolicyDocument, load_data, load_policy
from koordnri.policy.errors import Mistake, PolicyError
from koordnri.policy.text import MAX_CHARACTERS


def read_policy(path: str | os.PathLike[str]) -> PolicyDocument:
    """The document in a file (a manifest or its data), or in a directory that has one file per key.

    Raises PolicyError, also if it cannot be read: for the operator that is the same kind of problem.
    """
    path = Path(path)
    try:
        if not path.is_dir():
            return load_policy(_read(path), str(path))
        # kubelet keeps the real files in ..data; the visible names are links to them.
        files = sorted(item for item in path.iterdir() if not item.name.startswith(".") and item.is_file())
        data: dict[str, bytes] = {}
        left = MAX_CHARACTERS
        for item in files:
            data[item.name] = _read(item, left)
            left -= len(data[item.name])
    except OSError as error:
        raise PolicyError([Mistake("", f"cannot read {error.filename or path}: {error.strerror or error}")]) from None
    return load_data(data, str(path))


def _read(path: Path, most: int = MAX_CHARACTERS) -> bytes:
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        beside = "" if most == MAX_CHARACTERS else " and the files before it"
        raise PolicyError(
            [Mistake("", f"expected at most {MAX_CHARACTERS} bytes in {path}{beside}, which Kubernetes allows too")]
        )
    return content
