"""Every question, by name. `GET /v1/NAME` of koordnri.observe.questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from koordnri.answers.containers import list_containers
from koordnri.answers.explain import ExplainSources, explain
from koordnri.answers.holdings import list_holdings
from koordnri.answers.map import drawn
from koordnri.answers.node import described
from koordnri.answers.pods import list_pods
from koordnri.answers.policy_document import policy_document
from koordnri.answers.shares import list_shares
from koordnri.answers.status import StatusSources, status
from koordnri.answers.why import why
from koordnri.observe.questions import Parameters, Question, checked
from koordnri.resctrl.groups import ResctrlGroups
from koordnri.state.history import History
from koordnri.state.ledger import Ledger
from koordnri.state.present import Present


class AnswerSources(NamedTuple):
    """What answers are computed from."""

    ledger: Ledger
    present: Present
    explain: ExplainSources
    status: StatusSources
    groups: ResctrlGroups
    history: History | None
    """None: none is kept"""


def make_questions(sources: AnswerSources) -> Mapping[str, Question]:
    """NAME → question."""

    def node(parameters: Parameters) -> object:
        checked(parameters)
        return described(sources.present.snapshot.node)

    def answer_explain(parameters: Parameters) -> object:
        return explain(sources.explain, parameters)

    def answer_holdings(parameters: Parameters) -> object:
        checked(parameters)
        return list_holdings(sources.present.allocator.held, sources.ledger.pods())

    def answer_policy_document(parameters: Parameters) -> object:
        checked(parameters)
        return policy_document(sources.explain.standing.document)

    def answer_status(parameters: Parameters) -> object:
        checked(parameters)
        return status(sources.status)

    def answer_map(parameters: Parameters) -> object:
        checked(parameters)
        present = sources.present
        return drawn(present.snapshot.node, sources.ledger.pods(), present.allocator.held, present.kubelet.pins)

    def answer_why(parameters: Parameters) -> object:
        return why(parameters, sources.history, sources.ledger)

    def answer_containers(parameters: Parameters) -> object:
        checked(parameters)
        world, pins = sources.explain.machine.world(), sources.present.kubelet.pins
        return list_containers(sources.ledger, world, pins, sources.explain.host_root)

    def answer_shares(parameters: Parameters) -> object:
        checked(parameters)
        return list_shares(sources.ledger, sources.present.snapshot.node, sources.groups)

    def answer_pods(parameters: Parameters) -> object:
        checked(parameters)
        return list_pods(sources.ledger)

    return {
        "node": node,
        "explain": answer_explain,
        "holdings": answer_holdings,
        "policy-document": answer_policy_document,
        "status": answer_status,
        "map": answer_map,
        "why": answer_why,
        "containers": answer_containers,
        "shares": answer_shares,
        "pods": answer_pods,
    }
