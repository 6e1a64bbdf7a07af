"""The plugin's process: how it gets its socket, and that it is gone afterwards."""

import sys
import time
from pathlib import Path

import pytest

from koordnri.conformance.subject import Subject
from koordnri.conformance.violation import Violation

PATIENCE_S = 30.0


def python(code: str, *words: str) -> list[str]:
    return [sys.executable, "-c", f"import os, signal, socket, sys, time\n{code}", *words]


def test_it_gets_the_path_of_the_socket_and_a_directory(tmp_path: Path) -> None:
    command = python(
        "assert os.path.isdir(sys.argv[2])\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\nprint('in')"
    )
    with Subject([*command, "{socket}", "{dir}"], PATIENCE_S) as subject:
        assert not subject.launched
        subject.start()
        subject.link()
        assert subject.comes_back_or_ends()
        assert subject.tail() == "in\n"


def test_it_is_launched_with_a_connection_when_the_command_names_no_socket() -> None:
    names = "os.environ['NRI_PLUGIN_NAME'], os.environ['NRI_PLUGIN_IDX']"
    code = f"s = socket.socket(fileno=int(os.environ['NRI_PLUGIN_SOCKET']))\nprint({names}, s.family.name)"
    with Subject(python(code), PATIENCE_S) as subject:
        assert subject.launched
        subject.start()
        subject.link()
        assert subject.comes_back_or_ends()
        assert subject.tail() == "subject 10 AF_UNIX\n"
        with pytest.raises(Violation, match="has one only"):
            subject.link()


def test_what_does_not_connect_is_a_violation_and_is_killed_in_the_end(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)"
    with Subject(python(code, "{socket}"), 0.2) as subject:
        subject.start()
        with pytest.raises(Violation, match="expected it to connect"):
            subject.link()
        until = time.monotonic() + PATIENCE_S
        while not pid.exists() or not pid.read_text():
            assert time.monotonic() < until
        assert not subject.terminate()
        assert not subject.comes_back_or_ends()
    assert not Path(f"/proc/{pid.read_text()}").exists()
