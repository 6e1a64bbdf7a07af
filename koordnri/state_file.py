"""The state directory: what must outlive the process and no annotation can carry.

`baselines.json`: container id → the note (baseline, and what we set) that its annotation does not tell. Losing it costs the baselines
of resized containers until kubelet asks again, and a value that we set since their creation then counts as kubelet's.
`written.json`: pod or container id → field → what its file held before we wrote it. Losing it costs the way back of what a later
policy has no say in any more.
`resctrl.json`: names of the resctrl groups that we took. Losing it costs that they are given back when no policy wants them any more.
`policy.json`: data of the last good ConfigMap, for a start while the API server is away.
Each is written whole and renamed into place, so a crash leaves the old one or the new one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from koordnri.model.resources import Note

BASELINES = "baselines.json"
WRITTEN = "written.json"
LAST_GOOD = "policy.json"
GROUPS = "resctrl.json"


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


class Notebook:
    """The ledger's notes on disk: `baselines.json` and `written.json`, saved when somebody marked them as changed, or at once.

    wake   somebody is to call `save_if_marked` soon
    """

    def __init__(self, directory: Path, log: Any, wake: Callable[[], None]) -> None:
        self._baselines = StateFile(directory)
        self._written = StateFile(directory, WRITTEN, dict[str, dict[str, Any]])
        self._log = log
        self._wake = wake
        self._marked = False
        self._saving = threading.Lock()
        self._error = ""
        self._read: Callable[[], tuple[dict[str, Note], dict[str, dict[str, Any]]]] = lambda: ({}, {})

    def load(self) -> tuple[dict[str, Note], dict[str, dict[str, Any]]]:
        """What was noted before: moved notes, and what files held before we wrote them."""
        (baselines, problem), (written, problem_written) = self._baselines.load(), self._written.load()
        for text in filter(None, (problem, problem_written)):
            self._log.warning("state_file_bad", error=text)
        return baselines, written

    def keep(self, read: Callable[[], tuple[dict[str, Note], dict[str, dict[str, Any]]]]) -> None:
        """What is to be saved, from now on."""
        self._read = read

    def mark(self) -> None:
        """Something changed; it need not be on disk at once."""
        self._marked = True
        self._wake()

    def save_if_marked(self) -> None:
        """Save what changed since the last time."""
        if self._marked:
            self.save()

    def save(self) -> None:
        """Save now. What cannot be saved is told once, and tried again."""
        with self._saving:
            self._marked = False
            try:
                moved, written = self._read()
                self._baselines.save(moved)
                self._written.save(written)
                self._error = ""
            except OSError as error:
                self._marked = True
                if str(error) != self._error:
                    self._log.error("state_not_saved", path=str(self._baselines.path), error=str(error))
                self._error = str(error)


class GroupNames:
    """Names of the resctrl groups that are ours, on disk: `resctrl.json`."""

    def __init__(self, directory: Path, log: Any) -> None:
        self._file = StateFile(directory, GROUPS, dict[str, list[str]])
        self._log = log

    def load(self) -> list[str]:
        """Those of the daemon before us."""
        content, problem = self._file.load()
        if problem:
            self._log.warning("state_file_bad", error=problem)
        names: list[str] = content.get("groups", [])
        return names

    def save(self, names: list[str]) -> None:
        """Save now. What cannot be saved is told."""
        try:
            self._file.save({"groups": names})
        except OSError as error:
            self._log.error("state_not_saved", path=str(self._file.path), error=str(error))
