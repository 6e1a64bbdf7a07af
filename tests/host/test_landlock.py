"""What a process can still write after it has given up the rest. On a kernel without Landlock the tests see that nothing is pretended."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from koordnri.host.landlock import LEAST_VERSION, landlock_version

DENIED, DONE = "PermissionError", "done"

SCRIPT = """
import json, os, socket, subprocess, sys, threading
from pathlib import Path
from koordnri.host.landlock import restrict_writes

inside, other, outside = (Path(argument) for argument in sys.argv[1:4])
opened = open(outside / "opened", "w")
failure = ""
try:
    restrict_writes([inside, other, Path(os.devnull)])
except OSError as error:
    failure = str(error)
found = {}

def attempt(name, action):
    try:
        action()
        found[name] = "done"
    except OSError as error:
        found[name] = type(error).__name__

def connect_and_bind(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))

def every_way(where, name):
    attempt(f"{name} write", lambda: os.close(os.open(where / "file", os.O_WRONLY)))
    attempt(f"{name} truncate", lambda: os.truncate(where / "file", 0))
    attempt(f"{name} create", lambda: (where / "new").write_text("x"))
    attempt(f"{name} replace", lambda: (where / "file").replace(where / "renamed"))
    attempt(f"{name} unlink", lambda: (where / "old").unlink())
    attempt(f"{name} mkdir", lambda: (where / "directory").mkdir())
    attempt(f"{name} rmdir", lambda: (where / "empty").rmdir())
    attempt(f"{name} socket", lambda: connect_and_bind(where / "socket"))
    attempt(f"{name} symlink", lambda: (where / "link").symlink_to("file"))
    attempt(f"{name} fifo", lambda: os.mkfifo(where / "fifo"))
    attempt(f"{name} into below", lambda: (where / "up").replace(where / "below" / "up"))

every_way(inside, "inside")
every_way(outside, "outside")
attempt("over", lambda: (inside / "over").replace(other / "over"))
attempt("out", lambda: (inside / "out").replace(outside / "out"))
attempt("read", lambda: (outside / "opened").read_text())
attempt("opened before", lambda: (opened.write("x"), opened.flush()))
thread = threading.Thread(target=attempt, args=("thread", lambda: (outside / "thread").write_text("x")))
thread.start()
thread.join()
attempt("devnull", lambda: subprocess.run(["true"], stdin=subprocess.DEVNULL, check=True))
attempt("child", lambda: os._exit(7) if os.fork() == 0 else None)
print(json.dumps({"failure": failure, "found": found}))
"""


def have(directory: Path) -> Path:
    for name in ("file", "old", "up", "over", "out"):
        directory.mkdir(exist_ok=True)
        (directory / name).write_text(name)
    for name in ("empty", "below"):
        (directory / name).mkdir()
    return directory


@pytest.fixture
def tried(tmp_path: Path) -> dict[str, Any]:
    """What a process that may write below two of three directories could do."""
    places = [have(tmp_path / name) for name in ("inside", "other", "outside")]
    command = [sys.executable, "-c", SCRIPT, *map(str, places)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return dict(json.loads(done.stdout))


def test_only_the_directories_are_written_where_the_kernel_has_landlock(tried: dict[str, Any]) -> None:
    found = tried["found"]
    if landlock_version() < LEAST_VERSION:
        assert f"version {landlock_version()} here" in tried["failure"]
        assert set(found.values()) == {DONE}
        return
    assert tried["failure"] == ""
    # Devices, FIFOs and symbolic links are made nowhere.
    inside = {name.removeprefix("inside "): was for name, was in found.items() if name.startswith("inside ")}
    assert {name for name, was in inside.items() if was != DONE} == {"symlink", "fifo"}
    outside = {name: was for name, was in found.items() if name.startswith("outside ")}
    if landlock_version() < 3:
        assert outside.pop("outside truncate") == DONE
    assert set(outside.values()) == {DENIED}
    rest = {name: was for name, was in found.items() if " " not in name or name == "opened before"}
    assert rest == {
        "over": DONE,
        "out": DENIED,
        "read": DONE,
        "opened before": DONE,
        "thread": DENIED,
        "child": DONE,
        "devnull": DONE,
    }


def test_this_process_is_not_restricted(tried: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "outside" / "mine").write_text("x")
