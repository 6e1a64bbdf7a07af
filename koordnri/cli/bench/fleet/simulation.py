"""What happens to the fleet: nothing, a new policy, an API server that goes and one that comes back."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import NamedTuple

from koordnri.cli.bench.fleet.clock import Clock
from koordnri.cli.bench.fleet.costs import Limits
from koordnri.cli.bench.fleet.node import Node
from koordnri.cli.bench.fleet.server import Server
from koordnri.cli.bench.fleet.traffic import Load

START_S = 120.0
"""in which the daemons start one after the other"""
QUIET_S = 900
"""until all watches have been ended by the server once, and are spread"""
AFTER_S = 180
"""of what happens, that is looked at"""
DOWN_S = 20.0
SERVERS = 3
"""behind one address; one of them goes"""
KUBELET_EVERY_S = 300.0
POD_CHANGES_PER_S = 0.02
"""of one node: about ten pods an hour that come and go, each with seven changes of its object"""


class Setting(NamedTuple):
    """A cluster."""

    nodes: int
    annotates: bool = False
    seed: int = 1
    limits: Limits = Limits()


class Fleet:
    """The nodes and their API server. Nothing is random but by the seed."""

    def __init__(self, setting: Setting) -> None:
        self.clock = Clock()
        self.revision = "1"
        self._random = random.Random(setting.seed)  # noqa: S311  # a simulation
        self.server = Server(self.clock, setting.limits)
        self.nodes = [
            Node(f"node-{n}", self.clock, self.server, self._random.uniform, lambda: self.revision, setting.annotates)
            for n in range(setting.nodes)
        ]
        for node in self.nodes:
            self.clock.at(self._random.uniform(0.0, START_S), node.start)
            self.clock.at(node.kubelet_s, self._kubelet(node))
            self._pods(node)

    def _kubelet(self, node: Node) -> Callable[[], None]:
        def report() -> None:
            self.server.change(node.node)
            self.clock.after(KUBELET_EVERY_S, report)

        return report

    def _pods(self, node: Node) -> None:
        def change() -> None:
            self.server.change(node.pods)
            self._pods(node)

        self.clock.after(self._random.expovariate(POD_CHANGES_PER_S), change)

    def settle(self) -> None:
        """Let the time pass until the fleet is steady."""
        self.clock.run(QUIET_S)

    def new_policy(self, deliver: bool = True) -> None:
        """Somebody edits the ConfigMap."""
        self.revision = str(int(self.revision) + 1)
        if deliver:
            for node in self.nodes:
                self.server.change(node.configmap)

    def reached_s(self, since_s: float) -> dict[str, float | None]:
        """Share of the nodes → s until so many had the present policy; None: they have not."""
        seen = sorted(node.seen_s[self.revision] for node in self.nodes if self.revision in node.seen_s)
        return {name: _reached(seen, len(self.nodes), share, since_s) for name, share in SHARES.items()}


SHARES = {"50 %": 0.5, "99 %": 0.99, "all": 1.0}


def _reached(seen: list[float], nodes: int, share: float, since_s: float) -> float | None:
    needed = math.ceil(share * nodes)
    return None if len(seen) < needed else seen[needed - 1] - since_s


class Outcome(NamedTuple):
    """Of one thing that happened."""

    load: Load
    reached_s: dict[str, float | None]
    """empty where the policy stayed"""
    requests: list[int]
    """per second"""


def nothing(fleet: Fleet) -> None:
    """A quiet day."""


def one_of_three_ends(fleet: Fleet) -> None:
    """One of three API servers ends. The others take over its connections at once, and know the versions that were seen."""
    fleet.server.disconnect(SERVERS)


def restart(fleet: Fleet) -> None:
    """The only API server is gone for a while, and with it the past changes. Meanwhile somebody has edited the policy."""
    fleet.server.stop()
    fleet.clock.run(fleet.clock.now + DOWN_S)
    fleet.server.start()
    fleet.new_policy(deliver=False)


HAPPENS: dict[str, tuple[Callable[[Fleet], None], bool]] = {
    "steady": (nothing, False),
    "policy": (Fleet.new_policy, False),
    "policy_annotated": (Fleet.new_policy, True),
    "failover": (one_of_three_ends, False),
    "restart": (restart, False),
}
"""name → (what happens, whether the daemons annotate their Nodes)"""


def outcome(name: str, nodes: int, seed: int = 1) -> Outcome:
    """Let it happen to a cluster of so many nodes."""
    happens, annotates = HAPPENS[name]
    fleet = Fleet(Setting(nodes, annotates, seed))
    fleet.settle()
    revision = fleet.revision
    happens(fleet)
    since_s = fleet.clock.now
    from_s, to_s = int(since_s), int(since_s) + AFTER_S
    fleet.clock.run(to_s)
    requests = fleet.server.traffic.requests
    return Outcome(
        fleet.server.traffic.load(from_s, to_s),
        fleet.reached_s(since_s) if fleet.revision != revision else {},
        [requests[second] for second in range(from_s, to_s)],
    )
