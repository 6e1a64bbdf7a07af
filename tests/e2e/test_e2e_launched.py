"""The runtime itself starts koordnri: an executable in its plugin directory, with the policy in its configuration directory."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import command, pods
from tests.e2e.kubelet import Kubelet
from tests.e2e.runtime_process import RuntimeProcess
from tests.support.waiting import eventually

# Two restarts of each runtime, for which `make test` has no time.
pytestmark = pytest.mark.full
NAME = "10-koordnri"


class Launched:
    """koordnri as docs/use/launched.md installs it, with a state directory of its own."""

    def __init__(self, runtime: RuntimeProcess, state_dir: Path) -> None:
        self.log = state_dir / "koordnri.log"
        self.program = runtime.work / "nri-plugins" / NAME
        self.policy = runtime.work / "nri-conf" / f"{NAME}.conf"
        options = ["run", "--state-dir", str(state_dir), "--listen", "off"]
        self.program.write_text(f"#!/bin/sh\nexec {shlex.join([*command.COMMAND, *options])}\n")
        self.program.chmod(0o755)
        self.policy.write_text(pods.RATIO_2)

    def logged(self, event: str) -> list[dict[str, object]]:
        """Lines of its log since its last start."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in map(json.loads, lines) if line["event"] == event]


@pytest.fixture
def launched(runtime: RuntimeProcess, tmp_path: Path) -> Iterator[Launched]:
    """Started by the runtime, which starts without it afterwards."""
    it = Launched(runtime, tmp_path / "state")
    runtime.restart()
    try:
        yield it
    finally:
        it.program.unlink()
        it.policy.unlink()
        runtime.restart()


def test_a_koordnri_that_the_runtime_starts_decides_by_the_policy_in_its_configuration_directory(
    launched: Launched, runtime: RuntimeProcess, kubelet: Kubelet
) -> None:
    eventually(lambda: launched.logged("synchronized"), "koordnri registered by the runtime")
    assert kubelet.read(pods.normalised(kubelet), "cpu.quota") == 40_000
    pinned = pods.pinned(kubelet)
    pods.check_pinned(kubelet, pinned)

    runtime.restart()

    # Another process, which the new runtime has started: a start begins another log.
    eventually(lambda: launched.logged("synchronized"), "koordnri registered by the new runtime")
    kubelet.resize(pinned, cpu_request_m=2000, cpu_limit_m=2000, memory_limit=128 * pods.MIB)
    pods.check_pinned(kubelet, pinned)
    assert not launched.logged("event_failed")
