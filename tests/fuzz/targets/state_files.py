"""Any content of a state file: it is loaded or put aside with a problem, and a daemon that starts on it decides without a bug.

The first byte chooses the file.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from structlog.testing import CapturingLogger

from koordnri.chain import Snapshot, load_hooks
from koordnri.host.cgroup.change import Change, Status
from koordnri.host.cgroup.writer import Writer
from koordnri.model.fields import split_name
from koordnri.model.resources import NOTHING
from koordnri.reconcile.originals import as_kubelet_set_it
from koordnri.state.files import LAST_GOOD, NOTES, ORIGINALS, GroupNames, Notebook, StateFile
from koordnri.state.history import History
from koordnri.state.history_files import NAME, HistoryFiles
from tests.hooks.annotated_node import NODE, POLICY
from tests.session.one_node import Node

FILES = (NOTES, ORIGINALS, LAST_GOOD, "resctrl.json", NAME)
_HOOKS = load_hooks()


def check(data: bytes) -> None:
    """One state file; the others are missing."""
    if not data:
        return
    log = CapturingLogger()
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        directory = Path(name)
        (directory / FILES[data[0] % len(FILES)]).write_bytes(data[1:])
        notes, originals = Notebook(directory, log, lambda: None).load()
        StateFile(directory, LAST_GOOD, dict[str, str]).load()
        GroupNames(directory, log).load()
        history = History(Snapshot.of(POLICY, NODE), HistoryFiles(directory, log))
        history.load()
        list(history.of_pod("shop", "p1"))
        history.since_s()
        _use_originals(originals, directory)
    node = Node(POLICY, NODE, _HOOKS, notes)
    node.pod()
    for container_id in list(notes)[:3]:
        node.preexisting("p1", container_id)
    node.synchronize()
    for *_, decision in node.observed.reported:
        assert not [error for error in decision.errors if error.fault == "bug"], decision.errors


def _use_originals(originals: dict[str, dict[str, object]], root: Path) -> None:
    writer = Writer(root, 2)
    for before in originals.values():
        as_kubelet_set_it(NOTHING, before, ())
        for name, value in before.items():
            field, key = split_name(name)
            if field is not None:
                [outcome] = writer.apply([[Change("kubepods/pod", field, key, value)]])
                assert outcome.status is not Status.FAULT, outcome
