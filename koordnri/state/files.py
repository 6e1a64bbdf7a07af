"""The state directory: what must outlive the process and cannot be kept in annotations.

`notes.json`: container id → its note (baseline, and values that we set), if its annotation differs. If lost, resized containers have
a wrong baseline until kubelet asks again: values that we set after their creation count as kubelet's.
`originals.json`: pod or container id → field → what its file held before we wrote it. If lost, values that a later policy does not decide
cannot be given back.
`resctrl.json`: names of the resctrl groups that we made or took. If lost, they are not given back when no policy wants them any more.
`interrupts.json`: the CPUs that served each interrupt before us. If lost, they are not given back.
`terway.json`: what terway's files held before us. If lost, they are not given back.
`policy.json`: data of the last good ConfigMap, for a start while the API server is down.
`history.jsonl` and `history.jsonl.1`: what was decided and why, for people; see koordnri.state.history_files.
Each but the history is written whole and renamed, so a crash leaves the old or the new one. Before 0.1.0 the first two were
`baselines.json` and `written.json`: a file under such a name is renamed at start. If the directory cannot be written (full, read-only,
absent), the daemon runs with its notes in memory, and reports that.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from koordnri.model.allocated import from_json, to_json
from koordnri.model.cpuset import CPUSet
from koordnri.model.log import Log
from koordnri.model.resources import Note

NOTES = "notes.json"
ORIGINALS = "originals.json"
LAST_GOOD = "policy.json"
GROUPS = "resctrl.json"
INTERRUPTS = "interrupts.json"
TERWAY = "terway.json"
_FORMER = {NOTES: "baselines.json", ORIGINALS: "written.json"}
"""name → name before 0.1.0"""


class StateFile:
    """Loads and saves one mapping under `directory`. `shape` is the type of its content."""

    def __init__(self, directory: Path, name: str = NOTES, shape: Any = dict[str, Note]) -> None:
        self.path = directory / name
        self._decoder = msgspec.json.Decoder(shape, dec_hook=from_json)

    def load(self) -> tuple[dict[str, Any], str]:
        """(content, problem). A missing file is no problem. A malformed one is kept with `.bad` after its name."""
        lost = "baselines come from the containers' annotations, and what was written before is not taken back"
        try:
            return self._decoder.decode(_read(self._found())), ""
        except FileNotFoundError:
            return {}, ""
        except OSError as error:
            return {}, f"{self.path}: cannot be read: {error.strerror}; {lost}"
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            bad = self.path.with_suffix(".json.bad")
            with contextlib.suppress(OSError):
                self.path.replace(bad)
            return {}, f"{self.path}: {error}; kept as {bad.name}; {lost}"

    def save(self, content: dict[str, Any]) -> None:
        """Replace the file's content; make the directory if needed. Raises OSError."""
        data, temporary = msgspec.json.encode(content, enc_hook=to_json), self.path.with_suffix(".json.new")
        try:
            fd = open_plain(temporary, _NEW)
        except FileNotFoundError:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = open_plain(temporary, _NEW)
        try:
            with open(fd, "wb") as file:
                os.fchmod(fd, 0o600)  # one that a crash has left may have another mode
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def _found(self) -> Path:
        """The file to load. A file under the former name is renamed if it is the newer one; where that fails, it is read as it is."""
        former = self.path.with_name(_FORMER.get(self.path.name, self.path.name))
        if _written_ns(former) > _written_ns(self.path):
            try:
                former.replace(self.path)
            except OSError:
                return former
        return self.path


_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def open_plain(path: Path, flags: int) -> int:
    """Open a plain file; a new one is its owner's alone. Raises OSError, also for anything else: opening a fifo would wait for a writer."""
    fd = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "expected a plain file, found something else", str(path))
    return fd


def _written_ns(path: Path) -> int:
    """When the file was last written; 0 when there is none."""
    try:
        return os.lstat(path).st_mtime_ns
    except OSError:
        return 0


def _read(path: Path) -> bytes:
    with open(open_plain(path, os.O_RDONLY), "rb") as file:
        return file.read()


REST = 9
"""Marked changes wait this many times as long as the last save took, so that saving takes at most a tenth of the time."""
MOST_REST_S = 1.0
"""The longest such rest (s), and the rest after a failure."""


class Notebook:
    """The ledger's notes on disk: `notes.json` and `originals.json`. Saved when marked as changed, or at once.

    Each save writes the notes of all pods, and each pod that comes or goes marks several changes: so they are saved together.

    wake   asks somebody to call `save_if_due` soon
    """

    def __init__(
        self, directory: Path, log: Log, wake: Callable[[], None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._notes = StateFile(directory)
        self._originals = StateFile(directory, ORIGINALS, dict[str, dict[str, Any]])
        self._log = log
        self._wake = wake
        self._monotonic = monotonic
        self._marked = False
        self._rests_until_s = float("-inf")
        self._saving = threading.Lock()
        self._error = ""
        self._saved_notes: dict[str, Note] | None = None
        """what the notes' file has; None: not known"""
        self._read: Callable[[], tuple[dict[str, Note], dict[str, dict[str, Any]]]] = lambda: ({}, {})

    @property
    def problem(self) -> str:
        """Why the notes are only in memory; "" while they are on disk."""
        return self._error

    def load(self) -> tuple[dict[str, Note], dict[str, dict[str, Any]]]:
        """What was noted before: the notes of containers, and what files held before we wrote them."""
        (notes, problem), (originals, problem_originals) = self._notes.load(), self._originals.load()
        for text in filter(None, (problem, problem_originals)):
            self._log.warning("state_file_bad", error=text)
        return notes, originals

    def keep(self, read: Callable[[], tuple[dict[str, Note], dict[str, dict[str, Any]]]]) -> None:
        """From now on `save` saves what this returns: notes and originals."""
        self._read = read

    def mark(self) -> None:
        """Something changed; it need not be saved at once."""
        if not self._marked:  # otherwise somebody is awake already, or will be when it is due
            self._marked = True
            self._wake()

    @property
    def due_in_s(self) -> float:
        """How long (s) a marked change may wait; infinite when there is none."""
        return max(0.0, self._rests_until_s - self._monotonic()) if self._marked else float("inf")

    def save_if_due(self) -> None:
        """Save if something changed since the last time, unless that was a moment ago."""
        if self.due_in_s <= 0:
            self.save()

    def probe(self) -> None:
        """Find out whether anything can be saved before there is something to save. A failure is handled as in `save`."""
        probe = StateFile(self._notes.path.parent, "probe.json")
        try:
            probe.save({})
            probe.path.unlink()
        except OSError as error:
            self._failed(error)

    def save_if_marked(self) -> None:
        """Save if something changed since the last time."""
        if self._marked:
            self.save()

    def save(self) -> None:
        """Save now. A failure is reported once, and saving is retried."""
        with self._saving:
            began_s, self._marked = self._monotonic(), False
            try:
                notes, originals = self._read()
                # Few changes concern both files, and each costs an fsync.
                if notes != self._saved_notes or not self._notes.path.exists():
                    self._notes.save(notes)
                    self._saved_notes = notes
                self._originals.save(originals)
                self._error, ended_s = "", self._monotonic()
                self._rests_until_s = ended_s + min(REST * (ended_s - began_s), MOST_REST_S)
            except OSError as error:
                self._failed(error)

    def _failed(self, error: OSError) -> None:
        self._marked, self._rests_until_s = True, self._monotonic() + MOST_REST_S
        text = f"{self._notes.path.parent}: {error.strerror or error}"  # without the file's name, so that it is reported once
        if text != self._error:
            self._log.error("state_not_saved", path=str(self._notes.path), error=text)
        self._error = text


class InterruptOriginals:
    """Which CPUs served each interrupt before us, on disk: `interrupts.json`."""

    def __init__(self, directory: Path, log: Log) -> None:
        self._file = StateFile(directory, INTERRUPTS, dict[str, str])
        self._log = log

    def load(self) -> dict[int, CPUSet]:
        """What the previous daemon saved."""
        content, problem = self._file.load()
        try:
            found = {int(number): CPUSet.parse(cpus) for number, cpus in content.items()}
        except ValueError as error:
            found, problem = {}, f"{self._file.path}: {error}"
        if problem:
            self._log.warning("state_file_bad", error=problem)
        return found

    def save(self, originals: dict[int, CPUSet]) -> None:
        """Save now. A failure is reported."""
        try:
            self._file.save({str(number): str(cpus) for number, cpus in originals.items()})
        except OSError as error:
            self._log.error("state_not_saved", path=str(self._file.path), error=str(error))


class TerwayOriginals:
    """What terway's files held before us, on disk: `terway.json`."""

    def __init__(self, directory: Path, log: Log) -> None:
        self._file = StateFile(directory, TERWAY, dict[str, str])
        self._log = log

    def load(self) -> dict[str, str]:
        """What the previous daemon saved."""
        content, problem = self._file.load()
        if problem:
            self._log.warning("state_file_bad", error=problem)
        return content

    def save(self, originals: dict[str, str]) -> None:
        """Save now. A failure is reported."""
        try:
            self._file.save(originals)
        except OSError as error:
            self._log.error("state_not_saved", path=str(self._file.path), error=str(error))


class GroupNames:
    """Names of the resctrl groups that are ours, on disk: `resctrl.json`."""

    def __init__(self, directory: Path, log: Log) -> None:
        self._file = StateFile(directory, GROUPS, dict[str, list[str]])
        self._log = log

    def load(self) -> list[str]:
        """The names that the previous daemon saved."""
        content, problem = self._file.load()
        if problem:
            self._log.warning("state_file_bad", error=problem)
        names: list[str] = content.get("groups", [])
        return names

    def save(self, names: list[str]) -> None:
        """Save now. A failure is reported."""
        try:
            self._file.save({"groups": names})
        except OSError as error:
            self._log.error("state_not_saved", path=str(self._file.path), error=str(error))
