"""What a pass does about resctrl where the daemon has the rights to, and where it has not."""

from __future__ import annotations

from structlog.testing import CapturingLogger

from koordnri.chain import Snapshot
from koordnri.resctrl.groups import READ_ONLY
from koordnri.resctrl.shares import CacheShares
from koordnri.state.world import World
from tests.resctrl.resctrl_node import ResctrlNode, classes


class Shares:
    """A node with one BE pod, and who brings its groups about."""

    def __init__(self) -> None:
        self.node = ResctrlNode()
        self.node.pod("p", "BE")
        self.log = CapturingLogger()
        self.state = self.node.node
        self.retaken = 0
        self.cache = CacheShares(
            self.node.groups,
            self.node.threads,
            self.node.monitors,
            lambda: True,
            self._retake,
            self.log,
            lambda *_: None,
        )

    def _retake(self) -> None:
        self.state = self.node.node
        self.retaken += 1

    def run_pass(self) -> None:
        self.cache.groups(self.node.pods.values(), lambda: World(Snapshot(self.node.policy, self.state), "containerd"))
        self.cache.threads(dict.fromkeys(self.node.containers("p"), "BE"), 2, sweep=False)

    def reported(self) -> list[tuple[str, str]]:
        return [(call.args[0], call.kwargs["error"]) for call in self.log.calls if call.method_name == "warning"]


def test_without_rights_nothing_is_touched_and_the_reason_is_reported_once_and_to_decisions():
    shares = Shares()
    shares.node.set_policy(**classes(be={}))
    shares.node.kernel.read_only = True
    for _ in range(3):
        shares.run_pass()
    assert shares.reported() == [("resctrl_read_only", READ_ONLY)]
    assert (shares.retaken, shares.state.resctrl.read_only) == (1, READ_ONLY)
    assert shares.node.kernel.log == []


def test_where_nobody_wants_a_group_there_is_nothing_to_report():
    shares = Shares()
    shares.node.kernel.read_only = True
    shares.run_pass()
    assert shares.reported() == []
    shares.node.set_policy(**classes(be={}))
    shares.run_pass()
    assert shares.reported() == [("resctrl_read_only", READ_ONLY)]


def test_rights_that_come_later_are_used_and_decisions_know():
    shares = Shares()
    shares.node.set_policy(**classes(be={}))
    shares.node.kernel.read_only = True
    shares.run_pass()
    shares.node.kernel.read_only = False
    shares.run_pass()
    assert shares.state.resctrl.read_only == ""
    assert shares.node.ours() == {"BE"}
    assert shares.node.group_of("p") == {"BE"}


def test_a_node_without_resctrl_is_left_in_peace():
    shares = Shares()
    shares.node.set_policy(**classes(be={}))
    shares.node.kernel.mounted, shares.node.kernel.read_only = False, True
    shares.state = shares.node.node
    shares.run_pass()
    assert (shares.reported(), shares.retaken) == ([], 0)
