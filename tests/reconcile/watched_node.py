"""A fake node whose files are watched."""

from __future__ import annotations

from typing import Any

from tests.host.fake_kernel import ROOT
from tests.reconcile.fake_node import HALVED, FakeNode
from tests.reconcile.fake_watch import FakeWatch

SLICES = ("kubepods.slice", *(f"kubepods.slice/kubepods-{qos}.slice" for qos in ("burstable", "besteffort")))
QUOTA = {1: ("cpu", "cpu.cfs_quota_us"), 2: ("", "cpu.max")}


class Watched:
    """A fake node whose reconciler has a watch, and time that passes when the test says so."""

    def __init__(self, node: FakeNode, most: int = 10_000) -> None:
        self.node = node
        self.now = 0.0
        self.reported: list[tuple[str, str]] = []
        self.failed: list[Any] = []
        self.watch = FakeWatch(node.kernel.exists)
        self.watch.most = most
        self.reconciler = self.node.reconciler
        assert self.reconciler.drift is not None
        self.reconciler.drift.start(lambda: None)

    def wrote(self, cgroup: str, file: str = "", controller: str = "") -> None:
        """The kernel reports a write to this file."""
        version = self.node.kernel.version
        controller, file = (controller, file) if file else QUOTA[version]
        top = f"{ROOT}/sys/fs/cgroup" + (f"/{controller}" if version == 1 else "")
        self.watch.taken.written.add((f"{top}/{cgroup}", file))

    def heal(self, after_s: float = 1.0) -> None:
        self.now += after_s
        self.reconciler.heal()

    def passes(self) -> int:
        return self.reconciler.stats.passes["drift"]

    def quota(self, cgroup: str) -> int | None:
        return self.node.kernel.cgroups[cgroup].quota


def watched(node: FakeNode | None = None, most: int = 10_000, policy: Any = HALVED, **options: Any) -> Watched:
    """Everything that is there has its values and is watched."""
    made: list[Watched] = []
    hand = lambda: made[0]  # noqa: E731  # the node needs what is made of the node
    options |= {
        "open_watch": lambda woken: hand().watch,
        "warn_node": lambda *reported: hand().reported.append(reported),
        "not_applied": lambda failure: hand().failed.append(failure),
        "monotonic": lambda: hand().now if made else 0.0,
    }
    if node is None:
        node = FakeNode(2, **options)
        node.container(node.pod("p", cpu_quota=80_000), cpu_quota=80_000)
    else:
        node = node.restarted(**options)
    it = Watched.__new__(Watched)
    made.append(it)
    it.now = 0.0
    it.__init__(node, most)  # type: ignore[misc]
    node.set_policy(**policy)
    node.run_pass()
    it.heal()
    return it


CONTAINER = "kubepods/burstable/p/p-main"


def sweeps(it: Watched, times: int) -> dict[str, int]:
    """Pod → at how many of so many sweeps its files were read."""
    read: dict[str, int] = {}
    original = it.node.machine.writer
    for _ in range(times):
        writer = original(2)
        seen: set[str] = set()
        holds = writer.holds
        writer.holds = lambda change, seen=seen, holds=holds: seen.add(change.directory.split("/")[2]) or holds(change)
        it.node.machine.writer = lambda version, writer=writer: writer
        it.node.reconciler.reconcile("sweep", it.node.ledger.pods(), rests=True)
        for pod in seen:
            read[pod] = read.get(pod, 0) + 1
    it.node.machine.writer = original
    return read


def many(**options: Any) -> Watched:
    node = FakeNode(2)
    for n in range(12):
        node.container(node.pod(f"p{n}", cpu_quota=80_000), cpu_quota=80_000)
    return watched(node, **options)
