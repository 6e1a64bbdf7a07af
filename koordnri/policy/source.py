"""Where a policy comes from: a file, or a directory as a mounted ConfigMap makes it."""

from __future__ import annotations

import os
from pathlib import Path

from koordnri.policy.document import PolicyDocument, load_data, load_policy
from koordnri.policy.errors import Mistake, PolicyError
from koordnri.policy.text import MAX_CHARACTERS


def read_policy(path: str | os.PathLike[str]) -> PolicyDocument:
    """The document in a file (a manifest or its data), or in a directory that has one file per key.

    Raises PolicyError, also for what cannot be read: to the operator that is the same defect, with the same way out.
    """
    path = Path(path)
    try:
        if not path.is_dir():
            return load_policy(_read(path), str(path))
        # kubelet's atomic writer keeps the real files in ..data; the visible names are links to them.
        files = sorted(item for item in path.iterdir() if not item.name.startswith(".") and item.is_file())
        contents = {item.name: _read(item) for item in files}
    except OSError as error:
        raise PolicyError([Mistake("", f"cannot read {error.filename or path}: {error.strerror or error}")]) from None
    data = {}
    mistakes = []
    for name, content in contents.items():
        try:
            data[name] = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            mistakes.append(Mistake(name, f"expected UTF-8 text, byte {error.start} is 0x{content[error.start]:02x}"))
    if mistakes:
        raise PolicyError(mistakes)
    return load_data(data, str(path))


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_CHARACTERS + 1)
    if len(content) > MAX_CHARACTERS:
        raise PolicyError(
            [Mistake("", f"expected at most {MAX_CHARACTERS} bytes in {path}, which Kubernetes allows too")]
        )
    return content
