"""A small fleet: the daemon's own watches, under a virtual clock. The same seed gives the same figures on each machine.

That the watches of many nodes do not come all at once was found and mended by this simulation; here it stays so.
"""

from __future__ import annotations

from koordnri.cli.bench.fleet.costs import KINDS
from koordnri.cli.bench.fleet.simulation import AFTER_S, DOWN_S, HAPPENS, SERVERS, Fleet, Setting, outcome
from koordnri.daemon.cluster import Cluster
from koordnri.kube.restart import Restart
from koordnri.kube.timing import Timing
from koordnri.state.containment import Faults
from koordnri.state.ledger import Ledger

NODES = 40


def test_it_has_the_watches_that_the_daemon_has() -> None:
    class Log:
        def bind(self, **keys: object) -> Log:
            return self

    log, api = Log(), object()
    faults = Faults(log, lambda *_: None, lambda *_: None)  # type: ignore[arg-type]
    cluster = Cluster(api, "n1", ("ns", "policy"), Ledger(), log, lambda error: None, faults, lambda pod: pod)  # type: ignore[arg-type]
    assert set(cluster.stats()) == {kind.noun for kind in KINDS}


def test_a_quiet_fleet_asks_only_when_the_server_has_ended_a_watch() -> None:
    fleet = Fleet(Setting(NODES))
    fleet.settle()
    assert len(fleet.server.watching) == NODES * len(KINDS)
    for node in fleet.nodes:
        for follower in node.followers:
            stats = follower.stats
            assert stats.lists == 1
            assert stats.restarts[Restart.ENDED] == sum(stats.restarts.values()) <= 3


def test_a_new_policy_is_on_all_nodes_within_the_second_and_costs_no_request() -> None:
    quiet, changed = outcome("steady", NODES), outcome("policy", NODES)
    reached_s = changed.reached_s["all"]
    assert reached_s is not None
    assert reached_s < 1.0
    assert changed.requests == quiet.requests
    assert quiet.reached_s == {}


def test_the_annotations_of_a_new_policy_are_spread() -> None:
    quiet, changed = outcome("steady", NODES), outcome("policy_annotated", NODES)
    assert sum(changed.requests) == sum(quiet.requests) + NODES
    assert max(changed.requests) < NODES / 2


def test_watches_that_broke_at_the_same_moment_are_resumed_one_after_the_other() -> None:
    broken = NODES * len(KINDS) / SERVERS
    spread_s = Timing().resume_spread_s
    after = outcome("failover", NODES).requests
    assert sum(after[: int(spread_s) + 1]) >= broken
    assert max(after) < 2.5 * broken / spread_s


def test_after_a_restart_all_list_again_without_a_herd_and_have_the_policy() -> None:
    after = outcome("restart", NODES)
    reached_s = after.reached_s["all"]
    assert reached_s is not None
    assert reached_s < 2 * Timing().longest_pause_s + Timing().relist_spread_s
    assert max(after.requests) < NODES * len(KINDS) / 4
    assert after.load.refused == 0


def test_each_node_draws_its_own_pauses_and_the_same_seed_draws_the_same() -> None:
    assert outcome("failover", NODES) == outcome("failover", NODES)
    assert outcome("failover", NODES, seed=2).requests != outcome("failover", NODES).requests


def test_everything_that_can_happen_has_an_end() -> None:
    for name in HAPPENS:
        assert len(outcome(name, 3).requests) == AFTER_S > DOWN_S
