"""The state directory: what must outlive the process and no annotation can carry.

`baselines.json`: container id → the note (baseline, and what we set) that its annotation does not tell. Losing it costs the baselines
of resized containers until kubelet asks again, and a value that we set since their creation then counts as kubelet's.
`written.json`: pod or container id → field → what its file held before we wrote it. Losing it costs the way back of what a later
policy has no say in any more.
`policy.json`: data of the last good ConfigMap, for a start while the API server is away.
Each is written whole and renamed into place, so a crash leaves the old one or the new one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from koordnri.model.resources import Note

BASELINES = "baselines.json"
WRITTEN = "written.json"
LAST_GOOD = "policy.json"


class StateFile:
    """Loads and saves one mapping under `directory`, which must exist. `shape` is the type of its content."""

    def __init__(self, directory: Path, name: str = BASELINES, shape: Any = dict[str, Note]) -> None:
        self.path = directory / name
        self._decoder = msgspec.json.Decoder(shape)

    def load(self) -> tuple[dict[str, Any], str]:
        """(content, problem). A missing file is no problem; an unreadable one is kept aside with `.bad` after its name."""
        try:
            return self._decoder.decode(self.path.read_bytes()), ""
        except FileNotFoundError:
            return {}, ""
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            bad = self.path.with_suffix(".json.bad")
            self.path.replace(bad)
            return (
                {},
                f"{self.path}: {error}; kept as {bad.name}; baselines come from the containers' annotations, "
                "and what was written before is not taken back",
            )

    def save(self, content: dict[str, Any]) -> None:
        """Replace the file's content. Raises OSError."""
        temporary = self.path.with_suffix(".json.new")
        with open(temporary, "wb") as file:
            file.write(msgspec.json.encode(content))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)
