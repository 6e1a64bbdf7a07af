"""What is sent to the API server when something changes, tested with a publisher that sends its number."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.kube import Api, Timing
from koordnri.kube.errors import KubeError
from koordnri.kube.publisher import NOT_KNOWN_S, NotKnown, Publisher
from tests.kube.fake_api import FakeApi, status, whole
from tests.support.waiting import eventually

OK = whole(200, b"{}")


class Numbers(Publisher):
    """Its clock stands still."""

    def __init__(self, api: Api, log: Any, **keywords: Any) -> None:
        self.at_s = 0.0
        self.number = 0
        self.known = True
        self.failures: list[str] = []
        self.deaths: list[BaseException] = []
        keywords = {"settle_s": 0.0, "uniform": lambda low, high: high, "clock": lambda: self.at_s, **keywords}
        super().__init__(api, "numbers", self.deaths.append, log, **keywords)

    def _send(self) -> None:
        if not self.known:
            raise NotKnown
        self._request("PATCH", f"/numbers/{self.number}", b"{}", "application/json")

    def _not_sent(self, error: KubeError) -> None:
        self.failures.append(str(error))


def paths(fake: FakeApi) -> list[str]:
    return [request.path for request in fake.requests.items]


def test_nothing_is_sent_until_something_has_changed(fake: FakeApi, api: Api, log: Any) -> None:
    assert Numbers(api, log).step() is None
    assert paths(fake) == []


def test_what_changes_within_the_settling_time_is_sent_once_as_it_is_then(fake: FakeApi, api: Api, log: Any) -> None:
    fake.script += [OK]
    it = Numbers(api, log, settle_s=5.0)
    for it.at_s, it.number in ((0.0, 1), (3.0, 2)):
        it.changed()
    assert it.step() == 2.0
    it.at_s, it.number = 5.0, 3
    assert it.step() == 0.0
    assert paths(fake) == ["/numbers/3"]
    assert it.step() is None


def test_what_changes_on_all_nodes_at_once_is_sent_after_a_random_part_of_the_spread(
    fake: FakeApi, api: Api, log: Any
) -> None:
    fake.script += [OK]
    it = Numbers(api, log, settle_s=1.0, spread_s=10.0, uniform=lambda low, high: low + (high - low) / 4)
    it.changed()
    assert it.step() == 3.5
    it.at_s = 2.0
    it.changed()
    assert it.step() == 1.5
    it.at_s = 3.5
    assert it.step() == 0.0
    assert paths(fake) == ["/numbers/0"]


def test_what_the_server_refuses_is_sent_again_later(fake: FakeApi, api: Api, log: Any) -> None:
    fake.script += [status(503, "busy"), status(503, "busy"), OK]
    it = Numbers(api, log, timing=Timing(first_pause_s=1.0))
    it.changed()
    assert [it.step(), it.step()] == [1.0, 2.0]
    assert "busy" in it.problem
    assert it.step() == 0.0
    assert (it.problem, len(it.failures)) == ("", 1)
    assert it.step() is None


@pytest.mark.parametrize("code", [403, 404, 409])
def test_what_no_quick_retry_can_mend_is_sent_again_much_later(fake: FakeApi, api: Api, log: Any, code: int) -> None:
    fake.script += [status(code, "no")]
    it = Numbers(api, log)
    it.changed()
    assert it.step() == Timing().absent_s


def test_without_knowledge_of_what_the_server_has_it_waits(fake: FakeApi, api: Api, log: Any) -> None:
    it = Numbers(api, log)
    it.known = False
    it.changed()
    assert it.step() == NOT_KNOWN_S
    assert paths(fake) == []


def test_its_thread_sends_and_ends(fake: FakeApi, api: Api, log: Any) -> None:
    fake.script += [OK]
    it = Numbers(api, log)
    it.start()
    it.changed()
    fake.requests.wait(1)
    it.stop()
    eventually(lambda: not it._thread.is_alive(), "its thread to end")
    assert it.deaths == []
