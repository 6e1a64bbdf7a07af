"""The Event on a Node whose runtime cannot be reached says what to change there."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import CapturingLogger

from koordnri.daemon.config import Config
from koordnri.daemon.runtime_absence import RuntimeAbsence
from koordnri.kube.event import MAX_MESSAGE
from koordnri.state.containment import Faults
from tests.daemon.sent_events import SentEvents

SWITCHED_OFF = 'version = 3\n[plugins."io.containerd.nri.v1.nri"]\ndisable = true\n'


def reported(root: Path) -> str:
    events, log = SentEvents([]), CapturingLogger()
    config = Config(host_root=root, state_dir=root / "state", nri_socket=str(root / "nri.sock"))
    RuntimeAbsence(config, events, Faults(log), log).report("cannot connect to nri.sock: No such file or directory")
    ((reason, message),) = events.of_node
    assert reason == "RuntimeNotThere"
    assert len(message) <= MAX_MESSAGE
    return message


def test_where_nri_is_off_it_names_the_setting_of_this_runtime(tmp_path: Path) -> None:
    config = tmp_path / "etc/containerd/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(SWITCHED_OFF)
    message = reported(tmp_path)
    assert message.startswith("containers start without koordnri, which cannot connect to nri.sock: No such file")
    assert "/etc/containerd/config.toml switches NRI off" in message
    assert "KN0101" in message
    assert "disable = false" in message


def test_where_no_runtime_is_found_it_says_so(tmp_path: Path) -> None:
    message = reported(tmp_path)
    assert "neither containerd nor CRI-O runs" in message
    assert "KN0112: start the runtime" in message


@pytest.mark.parametrize("text", ["[plugins", "\x00", 'version = 3\nplugins = "none"\n'])
def test_a_configuration_that_cannot_be_parsed_costs_no_more_than_the_fix(tmp_path: Path, text: str) -> None:
    config = tmp_path / "etc/containerd/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(text)
    assert reported(tmp_path).startswith("containers start without koordnri")
