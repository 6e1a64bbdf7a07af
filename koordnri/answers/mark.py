"""Whether an answer may have changed, for pages that follow the node live."""

from __future__ import annotations

from koordnri.answers.status import StatusSources


def mark(sources: StatusSources) -> tuple[object, ...]:
    """Two marks differ if an answer may have changed in between. It is much cheaper than an answer: no list of all pods is made."""
    present, session, standing, drift = (
        sources.present,
        sources.session,
        sources.standing,
        sources.reconciler.drift,
    )
    return (
        sources.ledger.edits,
        present.snapshot,
        present.allocator.held,
        present.kubelet.pins,
        session.state,
        session.problem,
        sources.recorder.route,
        sources.recorder.unrecorded,
        standing.acceptances,
        standing.refusals,
        0 if sources.history is None else sources.history.newest,
        len(sources.reconciler.not_applied()),
        () if drift is None else len(drift.returning()),
        sources.problems(),
        sources.warnings(),
    )
