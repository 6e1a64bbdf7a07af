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
    """The decision in progress, for a thread that must answer in our place."""

    ctx: ContainerContext
    finish: Callable[[Decision], tuple[Decision, Message]]
    remember: Callable[[Decision], None]
    """stores in the ledger what `finish` put into a message"""


class Decider:
    """What events and Synchronize share. Other threads replace `snapshot`, by one assignment; `answer_early` is for another thread; all
    else is for the thread that reads the socket.
    """

    def __init__(
        self, chain: Chain, ledger: Ledger, snapshot: Snapshot, observer: Observer, clock: Callable[[], int]
    ) -> None:
        self.snapshot = snapshot
        self.runtime = RuntimeInfo()
        self.overruns = 0
        """events with an incomplete decision, because the chain's budget was used up"""
        self.inflight: Inflight | None = None
        self.chain = chain
        self.ledger = ledger
        self.observer = observer
        self.clock = clock
        """nanoseconds, monotonic"""

    def budget_s(self) -> float:
        """How long (s) the chain may take: the policy's value, else a quarter of the runtime's request timeout."""
        configured = self.snapshot.policy.chain_budget_s
        quarter = self.runtime.request_timeout_s / 4
        return quarter if configured is None else min(configured, self.runtime.request_timeout_s / 2)

    def answer_early(self) -> Message | None:
        """For another thread when the budget is used up: the reply with what is decided so far. Raises chain.ContainerRefused."""
        inflight, self.inflight = self.inflight, None
        if inflight is None:
            return None
        self.overruns += 1
        ctx, finish, remember = inflight
        try:
            decision = self.chain.answer_early(ctx)
            decision, message = self.sendable(decision, ctx.node, finish)
        except BaseException:
            self.ledger.creating = ""  # refused, or answered empty: nobody decides this container any more
            raise
        # The stuck thread will find its own answer too late. Without this entry, values sent here would later look like kubelet's, and
        # the reconciler, which has to add the rest, would not know the container.
        remember(decision)
        return message

    def sendable(
        self, decision: Decision, node: NodeState, finish: Callable[[Decision], tuple[Decision, T]]
    ) -> tuple[Decision, T]:
        """What `finish` makes of the decision: the part that is sent, and the message. A value that cannot be sent costs only
        itself.
        """
        try:
            return finish(decision)
        except Exception:  # noqa: BLE001  # protobuf raises TypeError, ValueError and others; a second failure is not caught
            return finish(without_unsendable(decision, node, self.runtime.nri))
