"""Decides while the runtime waits: within a budget, and so that another thread can answer with what is decided so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from google.protobuf.message import Message

from koordnri.chain import Chain, Snapshot
from koordnri.hook import ContainerContext
from koordnri.model import Decision, NodeState
from koordnri.session.encode import without_unsendable
from koordnri.session.observer import Observer
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.state.ledger import Ledger

T = TypeVar("T")


class Inflight(NamedTuple):
    """What is being decided right now, for whoever must answer in our place."""

    ctx: ContainerContext
    finish: Callable[[Decision], tuple[Decision, Message]]
    record: Callable[[Decision], None]
    """keeps in the ledger what `finish` made a message of"""


class Decider:
    """What events and Synchronize share. `snapshot` is swapped by others, one assignment at a time; `answer_early` is for another
    thread; all else is for the one that reads the socket.
    """

    def __init__(
        self, chain: Chain, ledger: Ledger, snapshot: Snapshot, observer: Observer, clock: Callable[[], int]
    ) -> None:
        self.snapshot = snapshot
        self.runtime = RuntimeInfo()
        self.overruns = 0
        """events answered with an incomplete decision because the chain's budget was used up"""
        self.inflight: Inflight | None = None
        self.chain = chain
        self.ledger = ledger
        self.observer = observer
        self.clock = clock
        """nanoseconds, monotonic"""

    def budget_s(self) -> float:
        """How long the chain may take: the policy's figure, else a quarter of what the runtime waits for us."""
        configured = self.snapshot.policy.chain_budget_s
        quarter = self.runtime.request_timeout_s / 4
        return quarter if configured is None else min(configured, self.runtime.request_timeout_s / 2)

    def answer_early(self) -> Message | None:
        """For another thread, when the budget is used up: the reply with what is decided so far. Raises chain.Refused."""
        inflight, self.inflight = self.inflight, None
        if inflight is None:
            return None
        self.overruns += 1
        ctx, finish, record = inflight
        try:
            decision = self.chain.answer_early(ctx)
            decision, message = self.sendable(decision, ctx.node, finish)
        except BaseException:
            self.ledger.creating = ""  # refused, or answered empty: nobody decides it any more
            raise
        # The thread that is held will find its own answer out of date. Unrecorded, what is sent here would look like kubelet's later,
        # and the reconciler, which has to bring the rest, would not know the container.
        record(decision)
        return message

    def sendable(
        self, decision: Decision, node: NodeState, finish: Callable[[Decision], tuple[Decision, T]]
    ) -> tuple[Decision, T]:
        """What `finish` makes of the decision: what goes out of it, and the message. A value that cannot be sent costs itself, not the
        whole reply.
        """
        try:
            return finish(decision)
        except Exception:  # noqa: BLE001  # of protobuf's TypeError, ValueError and more; a second one is not caught
            return finish(without_unsendable(decision, node, self.runtime.nri))
