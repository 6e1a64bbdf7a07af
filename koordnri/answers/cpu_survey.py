"""Who has which CPUs, and what is wrong about that: computed when somebody asks, once for each state of the node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from koordnri.answers.cpu_holders import Pins
from koordnri.answers.cpu_owners import CPUOwner, cpu_owners, cpu_users
from koordnri.answers.violations import Observed, Violation, cpu_violations
from koordnri.chain import Snapshot
from koordnri.cpus.holding import Holdings
from koordnri.state.ledger import Ledger
from koordnri.state.present import Present


class CPUSurvey(NamedTuple):
    """The answer."""

    owners: Sequence[CPUOwner]
    violations: Sequence[Violation]


class _Basis(NamedTuple):
    """What a survey is computed from. The first three are replaced as a whole when they change."""

    snapshot: Snapshot
    held: Holdings
    pins: Pins
    edits: int
    readings: int

    def same(self, other: _Basis) -> bool:
        """Whether the survey would be the same. Not by `==`, which would compare whole mappings."""
        whole = zip(self[:3], other[:3], strict=True)
        return self[3:] == other[3:] and all(one is another for one, another in whole)


class CPUSurveys:
    """Keeps the last survey. On a node with 500 containers one costs some ms, and every scrape of the metrics asks twice."""

    def __init__(self, ledger: Ledger, present: Present) -> None:
        self._ledger = ledger
        self._present = present
        self._last: tuple[_Basis, CPUSurvey] | None = None

    def now(self) -> CPUSurvey:
        """Any thread may ask. Two that ask at the same time may compute the same."""
        basis, last = (
            self._basis(),
            self._last,
        )  # the basis first: what changes while we compute is found at the next call
        if last is not None and last[0].same(basis):
            return last[1]
        made = self._make(basis)
        self._last = (basis, made)
        return made

    def _basis(self) -> _Basis:
        present, ledger = self._present, self._ledger
        return _Basis(present.snapshot, present.allocator.held, present.kubelet.pins, ledger.edits, ledger.readings)

    def _make(self, basis: _Basis) -> CPUSurvey:
        node, pods, entries = basis.snapshot.node, self._ledger.pods(), self._ledger.entries()
        owners = cpu_owners(pods, entries, node, basis.held, basis.pins)
        return CPUSurvey(owners, cpu_violations(Observed(node, owners, tuple(cpu_users(pods, entries)))))
