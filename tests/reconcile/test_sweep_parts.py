"""Which pods a sweep reads."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from koordnri.reconcile.drift_watches import TRIES_AGAIN_S
from tests.reconcile.fake_node import FakeNode
from tests.reconcile.fake_watch import FakeWatch
from tests.reconcile.watched_node import many, sweeps


def test_what_is_watched_is_swept_once_a_minute_and_what_is_not_every_time():
    it = many()
    sweeps(it, 1)
    assert sweeps(it, 6) == {f"p{n}": 1 for n in range(12)}
    it.watch.watched.clear()
    it.watch.most = 0
    it.now += TRIES_AGAIN_S
    it.node.run_pass("sweep")
    assert sweeps(it, 6) == {f"p{n}": 6 for n in range(12)}


def test_without_inotify_every_sweep_reads_everything():
    def none(woken: Callable[[], None]) -> FakeWatch:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    reported: list[str] = []
    node = FakeNode(2, open_watch=none, warn_node=lambda reason, message: reported.append(reason))
    node.container(node.pod("p", cpu_quota=80_000), cpu_quota=80_000)
    node.reconciler.drift.start(lambda: None)
    node.run_pass()
    assert reported == ["DriftSeenLate"]
    for _ in range(2):
        assert not node.reconciler.drift.covers("p")
        node.reconciler.heal()
        node.run_pass("sweep")


def test_a_file_that_could_not_be_written_is_tried_at_every_sweep():
    it = many()
    sweeps(it, 1)
    it.node.kernel.cgroups["kubepods/burstable/p3/p3-main"].quota = 10_000
    it.node.kernel.before_write = lambda path, text: (_ for _ in ()).throw(OSError(errno.EINVAL, "no"))
    it.node.run_pass("sweep")
    assert not it.reconciler.drift.covers("p3")
    it.node.kernel.before_write = lambda path, text: None
    it.node.reconciler.reconcile("sweep", it.node.ledger.pods(), rests=True)
    assert it.quota("kubepods/burstable/p3/p3-main") == 40_000
