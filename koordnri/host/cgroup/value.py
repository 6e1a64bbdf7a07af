"""One control file of one cgroup: its path, its value as last read, and its error.

Every answer of the kernel becomes a `WriteFailed` here: the cgroup or file is missing, or the kernel refuses, with its meaning.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, NoReturn

from koordnri.host.cgroup.change import Change, Outcome, Status
from koordnri.host.cgroup.files import CgroupFiles
from koordnri.host.cgroup.paths import ROOT_DIRECTORY
from koordnri.host.cgroup.spelling import Form, form
from koordnri.model import CPUSet, Field
from koordnri.model.field import PROCESSES, V1_CONTROLLERS

_ROOT = "sys/fs/cgroup"


class WriteFailed(Exception):
    """A read or write that failed. Caught within the writer; callers see status and error in an Outcome."""

    def __init__(self, status: Status, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


def failed_by(error: Exception) -> WriteFailed:
    """The WriteFailed for an exception. An unforeseen one is a bug of ours that costs only this file."""
    if isinstance(error, WriteFailed):
        # A new one without traceback: a caller keeps it in a variable, and so would keep its own frame, and all frames above, until the
        # garbage collector runs. After a Synchronize of 500 containers these were 3 MiB.
        return WriteFailed(error.status, error.error)
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = "" if frame is None else f" ({os.path.basename(frame.tb_frame.f_code.co_filename)}:{frame.tb_lineno})"
    return WriteFailed(Status.FAULT, f"bug in koordnri: {type(error).__name__}: {error}{where}")


class Tree:
    """The cgroups below `root`/sys/fs/cgroup, of version 1 or 2."""

    def __init__(self, root: Path, version: int, files: CgroupFiles) -> None:
        self.version = version
        self.files = files
        self.best_effort: tuple[CPUSet, ...] = ()
        """see Writer.bound_best_effort"""
        self._host = str(root).rstrip("/")
        self._checked: dict[str, str] = {}
        """directory that was found to be below the cgroup root → the same with a slash at its end"""
        top = str(root / _ROOT)
        self._tops = {"": f"{top}/"}
        if version == 1:
            self._tops |= {controller: f"{top}/{controller}/" for controller in V1_CONTROLLERS}
            # Most distributions link `cpu` to `cpu,cpuacct`, but not all.
            for controller, both in (("cpu", "cpu,cpuacct"), ("net_cls", "net_cls,net_prio")):
                if not files.exists(f"{top}/{controller}") and files.exists(f"{top}/{both}"):
                    self._tops[controller] = f"{top}/{both}/"

    def path(self, directory: str, file: str) -> str:
        """Full path of a file that `spelling` names. Raises WriteFailed for a directory outside of the cgroup root."""
        if file[:1] == "/":
            return f"{self._host}{file}"
        where = self._checked.get(directory)
        if where is None:
            where = self._check(directory)
        if self.version == 2:
            return f"{self._tops['']}{where}{file}"
        controller, _, name = file.partition("/")
        if controller == PROCESSES:  # of any hierarchy: each lists the container's processes
            controller, name = "cpu", file
        return f"{self._tops[controller]}{where}{name}"

    def _check(self, directory: str) -> str:
        """The path's maker has checked this, too. But one mistake here would write outside of the cgroups, as root."""
        if not directory or directory[0] == "/" or "\0" in directory or ".." in directory.split("/"):
            problem = f'expected a path below the cgroup root without "..", got {directory[:120]!r}'
            raise WriteFailed(Status.REFUSED, f"cgroup: {problem}")
        where = self._checked[directory] = "" if directory == ROOT_DIRECTORY else f"{directory}/"
        return where

    def place(self, directory: str, file: str) -> tuple[str, str]:
        """(full directory, name) of a file that `spelling` names. Raises WriteFailed as `path` does."""
        home, _, name = self.path(directory, file).rpartition("/")
        return home, name

    def home(self, directory: str) -> str:
        """Full path of a cgroup, on v1 in the hierarchy of cpu. Raises WriteFailed as `path` does."""
        return self.path(directory, "cpu/" if self.version == 1 else "")[:-1]

    def has(self, directory: str) -> bool:
        """Whether the cgroup exists. Raises WriteFailed as `path` does."""
        return self.files.exists(self.home(directory))

    def text(self, path: str) -> str:
        """The file's text. Raises WriteFailed."""
        try:
            return self.files.read(path)
        except OSError as error:
            raise self._failed(path, "cannot be read", error, None) from None

    def put(self, path: str, text: str, field: Field) -> None:
        """Write once. Raises WriteFailed."""
        try:
            self.files.write(path, text)
        except OSError as error:
            raise self._failed(path, f"the kernel refuses {text!r}", error, field) from None

    def _failed(self, path: str, what: str, error: OSError, field: Field | None) -> WriteFailed:
        number = error.errno or 0
        # ENODEV comes from a file whose cgroup was removed after it was opened, but also from io.max for an unknown disk.
        if number in (errno.ENOENT, errno.ENOTDIR, errno.ENODEV):
            directory = os.path.dirname(path)
            if not self.files.exists(directory):
                return WriteFailed(Status.GONE, f"{directory}: no such cgroup")
            if number != errno.ENODEV:
                return WriteFailed(Status.UNSUPPORTED, f"{path}: no such file: kernel or controllers do not offer it")
        meaning = None if field is None else field.errors.get(number)
        text = f"{path}: {what}: {error.strerror} ({errno.errorcode.get(number, number)})"
        if meaning is not None:
            text += f": {meaning}"
        return WriteFailed(Status.UNSUPPORTED if number == errno.EOPNOTSUPP else Status.REFUSED, text)


class FileValue:
    """A field of a cgroup and its wanted value. `now` is the value as last read, None when it could not be read."""

    __slots__ = ("before", "change", "error", "form", "now", "path", "status", "text", "tree")

    def __init__(self, tree: Tree, change: Change) -> None:
        self.tree = tree
        self.change = change
        self.path = ""
        self.form = form(change.field, tree.version)
        """None if this cgroup version has no file for the field"""
        self.text = ""
        self.now: Any = None
        self.before: Any = None
        self.status: Status | None = None
        self.error = ""

    def scan(self) -> None:
        """Read the value. Raises WriteFailed."""
        self.now = None
        change, tree = self.change, self.tree
        found = self.form or self._no_file()
        for i, name in enumerate(found.files):
            self.path = tree.path(change.directory, name)
            try:
                self.text = tree.text(self.path)
                break
            except WriteFailed as failed:
                if failed.status is not Status.UNSUPPORTED or i + 1 == len(found.files):
                    raise
        self._parse(found)

    def scan_beside(self, other: FileValue) -> None:
        """Take the value from what `other` has just read: both stand in one file. Raises WriteFailed."""
        self.now = None
        found = self.form or self._no_file()
        self.path, self.text = other.path, other.text
        self._parse(found)

    def _parse(self, found: Form) -> None:
        try:
            self.now = found.parse(self.text, self.change.key)
        except ValueError as error:
            raise WriteFailed(Status.REFUSED, f"{self.path}: {error}") from None

    def compare(self) -> None:
        """Read, and set the outcome at once if nothing has to be written, or nothing can."""
        try:
            self.scan()
            self.before = self.now
            if self.done:
                self.status = Status.SAME
            else:
                self.spell(self.change.value)
        except Exception as error:  # noqa: BLE001  # a failure of one file must not cost the others
            self.fail(failed_by(error))

    @property
    def done(self) -> bool:
        """Whether the wanted value is in effect, by the last read: for most fields, that the file has it (`is_set`)."""
        return self.form is not None and self.form.same(self.change.value, self.now)

    @property
    def is_set(self) -> bool:
        """Whether the file has the wanted value, by the last read."""
        return self.form is not None and self.form.same(self.change.value, self.now)

    def spell(self, value: Any) -> str:
        """The text of a value. Raises WriteFailed for a value that no kernel accepts."""
        try:
            return (self.form or self._no_file()).spell(value, self.change.key, self.text)
        except (TypeError, ValueError) as error:
            raise WriteFailed(Status.REFUSED, f"{self.path}: {self.change.field.name}: {error}") from None

    def put(self, value: Any) -> None:
        """Write without reading back. Raises WriteFailed."""
        self.tree.put(self.path, self.spell(value), self.change.field)

    def write(self, value: Any) -> None:
        """Write, and read back. Raises WriteFailed."""
        self.put(value)
        self.scan()

    def judge(self) -> None:
        """Set the outcome after everything was written: by the last read, not by the kernel's answer.

        Raises WriteFailed when nothing can be read (any more).
        """
        if self.now is None:
            self.scan()
        if self.done:
            had_it = self.form is not None and self.form.same(self.change.value, self.before)
            self.status = Status.SAME if had_it else Status.WRITTEN
            self.error = ""
        else:
            wanted = self.change.value
            self.status = Status.DRIFTED_BACK
            self.error = f"{self.path}: expected {wanted!r} to read back after it was written, got {self.now!r}"

    def fail(self, failed: WriteFailed) -> None:
        """Set the outcome of a failure. A later attempt may replace it."""
        self.status, self.error = failed.status, failed.error

    def conclude(self) -> None:
        """Set an outcome if there is none: the file vanished in between."""
        if self.status is None:
            try:
                self.judge()
            except WriteFailed as failed:
                self.fail(failed)

    def outcome(self) -> Outcome:
        """The outcome for the caller. A missing one is a bug of ours."""
        status, error = self.status, self.error
        if status is None:
            status, error = Status.FAULT, f"{self.path or self.change.directory}: bug in koordnri: no verdict"
        return Outcome(self.change, status, self.before, self.now, error)

    def _no_file(self) -> NoReturn:
        raise WriteFailed(Status.UNSUPPORTED, f"cgroup v{self.tree.version} has no file for {self.change.field.name}")
