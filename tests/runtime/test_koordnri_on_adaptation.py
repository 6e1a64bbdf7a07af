"""The daemon as a process before NRI's own adaptation, which is newer than any container runtime's: what only it can do yet."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from koordnri.wire import api_pb2 as api
from tests.runtime.adaptations import GoAdaptation, Outcome, lack
from tests.support.messages import container, pod
from tests.support.waiting import eventually

pytestmark = pytest.mark.full
TIMEOUT_S = 2.0
REQUIRED = "koordnri-config: {hooks: {cpuset: {failurePolicy: fail}}}\n"


@pytest.fixture(scope="module", autouse=True)
def program() -> None:
    if reason := lack():
        pytest.skip(reason)


@contextmanager
def daemon(path: Path, policy: str) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon at the socket path/nri, until the end of the block."""
    (path / "policy.yaml").write_text(policy)
    with (path / "log").open("wb") as log:
        options = [f"--nri-socket={path}/nri", f"--state-dir={path}/state", f"--policy-file={path}/policy.yaml"]
        process = subprocess.Popen([sys.executable, "-m", "koordnri.cli", "run", "--listen=off", *options], stderr=log)
    try:
        yield process
    finally:
        os.kill(process.pid, signal.SIGCONT)
        process.terminate()
        process.wait(20)


def create(adaptation: GoAdaptation, container_id: str) -> Outcome:
    request = api.CreateContainerRequest(pod=pod(), container=container(container_id, name="main"))
    return adaptation.ask("CreateContainer", request)


def is_adjusted(outcome: Outcome) -> bool:
    assert isinstance(outcome.response, api.CreateContainerResponse)
    return len(outcome.response.adjust.annotations) > 0


@pytest.mark.parametrize(("policy", "refuses"), [(REQUIRED, True), ("{}\n", False)])
def test_while_the_daemon_hangs_containers_are_refused_where_a_hook_must_decide(
    tmp_path: Path, policy: str, refuses: bool
) -> None:
    with GoAdaptation(tmp_path / "nri", TIMEOUT_S) as adaptation, daemon(tmp_path, policy) as process:
        eventually(lambda: adaptation.count() == 1, "koordnri registered")
        assert is_adjusted(create(adaptation, "c1"))
        process.send_signal(signal.SIGSTOP)
        hanging, still_registered = create(adaptation, "c2"), adaptation.count()
        process.send_signal(signal.SIGCONT)
        if refuses:
            text = "plugin 10-koordnri failed to handle CreateContainer request: context deadline exceeded"
            assert hanging.error == text
            assert still_registered
            assert is_adjusted(create(adaptation, "c3"))
        else:
            assert not is_adjusted(hanging)
            assert not still_registered


def test_the_adaptation_starts_koordnri_itself(tmp_path: Path) -> None:
    plugins, state = tmp_path / "nri.plugins", tmp_path / "state"
    plugins.mkdir()
    (tmp_path / "nri.conf").mkdir()
    (tmp_path / "nri.conf" / "10-koordnri.conf").write_text(REQUIRED)
    program = plugins / "10-koordnri"
    command = f"{sys.executable} -c 'from koordnri.cli import main; main()' run --listen=off --state-dir={state}"
    program.write_text(f"#!/bin/sh\nexec {command}\n")
    program.chmod(0o755)
    with GoAdaptation(tmp_path / "nri", TIMEOUT_S) as adaptation:
        assert is_adjusted(create(adaptation, "c1"))
        log = (state / "koordnri.log").read_text()
        assert "the runtime's plugin configuration" in log
    eventually(lambda: "stopped" in (state / "koordnri.log").read_text(), "koordnri ended with the adaptation")
