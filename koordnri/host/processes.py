"""Programs that run on the host: name and command line, which everybody may read of every process."""

from __future__ import annotations

from typing import NamedTuple

from koordnri.host.files import HostFiles


class Process(NamedTuple):
    """One process."""

    pid: int
    args: tuple[str, ...]

    @property
    def program(self) -> str:
        """The program's name without its directory."""
        return self.args[0].rpartition("/")[2]

    def option(self, name: str) -> str:
        """The value of `--name value` or `--name=value`, the last one; "" if it is not there."""
        found = ""
        for arg, following in zip(self.args, (*self.args[1:], ""), strict=True):
            key, equals, value = arg.partition("=")
            if key in (f"--{name}", f"-{name}"):
                found = value if equals else following
        return found


def read_processes(files: HostFiles) -> list[Process]:
    """Every process with a command line; kernel threads have none. Empty if the host's /proc is not there."""
    found = files.entries("proc")
    processes = []
    for name in found[0] if found else ():
        if not name.isascii() or not name.isdecimal():
            continue
        before = len(files.problems)
        text = files.text(f"proc/{name}/cmdline")
        del files.problems[before:]  # it ended meanwhile (ESRCH), which is no problem of the node
        args = tuple((text or "").rstrip("\0").split("\0"))
        if args[0]:
            processes.append(Process(int(name), args))
    return sorted(processes)
