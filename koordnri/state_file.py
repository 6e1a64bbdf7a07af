"""The state directory: what must outlive the process and no annotation can carry.

One file, `baselines.json`: container id → moved baseline. Written whole and renamed into place, so a crash leaves the old one or
the new one. Losing it costs the moved baselines of resized containers until kubelet asks again, nothing else.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from koordnri.model import Resources

FILE = "baselines.json"
_decoder = msgspec.json.Decoder(dict[str, Resources])


class StateFile:
    """Loads and saves the moved baselines under `directory`, which must exist."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE

    def load(self) -> tuple[dict[str, Resources], str]:
        """(baselines, problem). A missing file is no problem; an unreadable one is kept aside as `baselines.json.bad`."""
        try:
            return _decoder.decode(self.path.read_bytes()), ""
        except FileNotFoundError:
            return {}, ""
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            bad = self.path.with_suffix(".json.bad")
            self.path.replace(bad)
            return (
                {},
                f"{self.path}: {error}; kept as {bad.name}; baselines of resized containers are taken from their annotations",
            )

    def save(self, baselines: dict[str, Resources]) -> None:
        """Replace the file's content. Raises OSError."""
        temporary = self.path.with_suffix(".json.new")
        with open(temporary, "wb") as file:
            file.write(msgspec.json.encode(baselines))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)
