"""Since when and why a field has its value, from the history."""

from __future__ import annotations

from koordnri.answers.since import NewestChanges, since
from koordnri.state.causes import FieldPlace, PassDone
from koordnri.state.history import History
from koordnri.state.history_line import HistoryLine
from koordnri.state.history_maker import FileRefusal
from tests.answers.explained import explained
from tests.reconcile.fake_node import HALVED, FakeNode


def test_since_when_and_by_what_a_field_has_its_value_is_its_last_change_in_the_history() -> None:
    passes: list[PassDone] = []
    node = FakeNode(passed=passes.append)
    now_s = [1_000_000_000.0]
    history = History(node.snapshot, clock=lambda: now_s[0])
    node.container(node.pod("p", "LS", cpu_quota=100_000), cpu_quota=100_000)
    node.run_pass()
    for ratio in (2.0, 4.0):
        node.set_policy(cpu_normalization_config={"enable": True, "defaultRatio": ratio})
        node.run_pass()
        now_s[0] += 60.0
        while passes:
            history.passed(passes.pop(0))
    quota = explained(node, history=history)["containers"][0]["fields"]["cpu.quota"]
    assert (quota["value"], quota["since"], quota["cause"]) == (25_000, "2001-09-09T01:48:40.000Z", "policy")


def line(cause: str, new: int, detail: str = "") -> HistoryLine:
    return HistoryLine(1, 1e9, "shop", "p", "cpu.quota", cause, container="main", new=new, detail=detail)


def test_a_change_to_another_value_does_not_say_since_when() -> None:
    changes = NewestChanges({("main", "cpu.quota"): line("policy", 50_000)}, {})
    assert since(changes, "main", "cpu.quota", 50_000)["cause"] == "policy"
    unknown = {"since": None, "cause": None, "refused": None}
    assert since(changes, "main", "cpu.quota", 60_000) == unknown
    assert since(changes, "side", "cpu.quota", 50_000) == unknown


def test_a_value_that_the_kernel_refused_says_why_until_it_is_written() -> None:
    node = FakeNode(2)
    node.container(node.pod("p", "LS", cpu_quota=100_000), cpu_quota=100_000)
    history = History(node.snapshot)
    node.set_policy(**HALVED)
    place = FieldPlace(node.ledger.pods()[0], "", "main", "cpu.quota")
    history.refused(FileRefusal(place, 50_000, "cpu.max: Invalid argument"))
    shape = explained(node, history=history)
    assert shape["containers"][0]["fields"]["cpu.quota"]["refused"] == "cpu.max: Invalid argument"
    assert any("could not be written: cpu.max: Invalid argument" in text for text in shape["wouldChange"])
