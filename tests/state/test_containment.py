"""A fault that nobody foresaw costs what it was in: it is counted each time, and reported once per pod and place."""

from __future__ import annotations

import pytest
from structlog.testing import CapturingLogger

from koordnri.state.containment import REASON, Faults
from tests.support.pods import pod


class Reported:
    """Faults, and who hears of them."""

    def __init__(self) -> None:
        self.log = CapturingLogger()
        self.pods: list[tuple[str, str, str]] = []
        self.node: list[tuple[str, str]] = []
        self.faults = Faults(
            self.log,
            lambda pod, reason, message: self.pods.append((pod.name, reason, message)),
            lambda reason, message: self.node.append((reason, message)),
        )


def test_a_fault_goes_no_further_and_is_counted_each_time() -> None:
    reported, went_on = Reported(), []
    for _ in range(3):
        with reported.faults.within("plan", pod(name="a")):
            raise KeyError("x")
        went_on.append(1)
    assert len(went_on) == 3
    assert reported.faults.counts == {"plan": 3}


def test_it_is_reported_once_per_pod_place_and_kind() -> None:
    reported = Reported()
    for error in (KeyError("x"), KeyError("y"), TypeError("z")):
        for where in ("plan", "write"):
            for name in ("a", "b"):
                with reported.faults.within(where, pod(name=name)):
                    raise error
    assert len(reported.log.calls) == len(reported.pods) == 8
    assert reported.pods[0] == (
        *("a", REASON),
        "plan: bug in koordnri, KeyError: 'x'; it goes on without this, please report it",
    )
    call = reported.log.calls[0]
    assert (call.method_name, call.args) == ("error", ("contained_fault",))
    assert call.kwargs == {"where": "plan", "pod": "shop/a", "error": "KeyError: 'x'", "exc_info": True}


def test_what_is_no_pods_is_reported_on_the_node() -> None:
    reported = Reported()
    call = reported.faults.around("node", lambda number: 1 // number)
    for number in (1, 0, 0):
        call(number)
    assert reported.faults.counts == {"node": 2}
    assert [reason for reason, _ in reported.node] == [REASON]
    assert reported.pods == []


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_who_wants_the_end_gets_it(error: type[BaseException]) -> None:
    reported = Reported()
    with pytest.raises(error), reported.faults.within("plan"):
        raise error
    assert not reported.faults.counts


def test_memory_of_what_was_reported_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("koordnri.state.containment.MOST_REMEMBERED", 10)
    reported = Reported()
    for number in range(100):
        with reported.faults.within("plan", pod(name=str(number))):
            raise KeyError
    assert len(reported.faults._seen) <= 10
