"""The watch's machine against a server that misbehaves in every way we could think of: it always comes back, and says why."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import LogCapture

from koordnri.kube import ConfigMapWatch, Restart, Timing, connect
from koordnri.kube.watch import wait
from tests.kube import fake_api
from tests.kube.fake_api import (
    Answer,
    FakeApi,
    Live,
    bookmark,
    configmap,
    dripping,
    hanging,
    line,
    listing,
    status,
    status_object,
    unchunked,
    whole,
)
from tests.kube.fake_api import watching as watch_of
from tests.kube.listed import CHANGE, LIST, NEW, OLD, RELIST, Start, restarts
from tests.kube.watched import Watching, write_kubeconfig
from tests.support.waiting import eventually

HTML = b"<html><body>Please log in</body></html>"


def test_lists_what_the_cache_has_then_watches_from_the_lists_version(fake: FakeApi, watching: Start) -> None:
    fake.script += [LIST, watch_of(CHANGE, end="hang")]
    it = watching()
    assert it.reported.wait(2) == [(OLD, "9"), (NEW, "11")]
    first, second = fake.requests.wait(2)
    assert first.path == "/api/v1/namespaces/koordnri-system/configmaps"
    assert first.query == {"fieldSelector": "metadata.name=policy", "resourceVersion": "0", "limit": "500"}
    assert second.query == {
        "watch": "1",
        "allowWatchBookmarks": "true",
        "resourceVersion": "10",
        "timeoutSeconds": "600",
        "fieldSelector": "metadata.name=policy",
    }
    assert first.headers["authorization"] == "Bearer first"
    assert it.watch.synced
    eventually(lambda: it.stats.events == 1, "the event is counted, which is after it was reported")
    assert (it.stats.lists, it.stats.problem, restarts(it)) == (1, "", {})


@pytest.mark.parametrize(
    ("lines", "version"),
    [([CHANGE], "11"), ([CHANGE, bookmark("ConfigMap", "500")], "500"), ([bookmark("ConfigMap", "12")], "12")],
    ids=["event", "event-and-bookmark", "bookmark"],
)
def test_a_watch_that_ends_is_resumed_at_once_from_the_last_version(
    fake: FakeApi, watching: Start, lines: list[bytes], version: str
) -> None:
    fake.script += [LIST, watch_of(*lines)]
    it = watching()
    resumed = fake.requests.wait(3)[2]
    assert resumed.is_watch
    assert resumed.query["resourceVersion"] == version
    assert restarts(it) == {Restart.ENDED: 1}
    assert it.pauses.items == []


def test_a_server_that_hangs_up_at_once_is_asked_ever_less_often(fake: FakeApi, watching: Start) -> None:
    fake.script += [LIST, *[watch_of()] * 8]
    it = watching(Timing(first_pause_s=1, longest_pause_s=30))
    assert it.pauses.wait(8)[:8] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_watch_that_served_ends_the_streak_of_failures(fake: FakeApi, watching: Start) -> None:
    fake.script += [LIST, status(500, "no"), watch_of(CHANGE), status(500, "no")]
    it = watching(Timing(first_pause_s=1))
    assert it.pauses.wait(2)[:2] == [1, 1]


# (what the server does to a watch, the reason that is counted)
WATCH_FAULTS: dict[str, tuple[Answer, Restart]] = {
    "410 as a line": (watch_of(line("ERROR", status_object(410, "too old resource version"))), Restart.EXPIRED),
    "410 as a status": (status(410, "too old resource version"), Restart.EXPIRED),
    "429": (status(429, "slow down", Retry_After="7"), Restart.THROTTLED),
    "429 without a time": (status(429, "slow down"), Restart.THROTTLED),
    "503 with a time": (status(503, "starting", Retry_After="1"), Restart.THROTTLED),
    "500": (status(500, "etcd is gone"), Restart.REFUSED),
    "500 as a line": (watch_of(line("ERROR", status_object(500, "etcd is gone"))), Restart.REFUSED),
    "error page": (whole(502, HTML), Restart.REFUSED),
    "redirect": (whole(302, b"", Location="/elsewhere"), Restart.REFUSED),
    "401": (status(401, "Unauthorized"), Restart.UNAUTHORIZED),
    "403": (status(403, "configmaps is forbidden"), Restart.FORBIDDEN),
    "HTML": (whole(200, HTML), Restart.GARBLED),
    "HTML, lines": (watch_of(HTML + b"\n"), Restart.GARBLED),
    "half a line": (watch_of(CHANGE[:40]), Restart.GARBLED),
    "half a line, unchunked": (unchunked(CHANGE[:40]), Restart.GARBLED),
    "half a line, cut": (watch_of(CHANGE[:40], end="cut"), Restart.DISCONNECTED),
    "cut at once": (watch_of(end="cut"), Restart.DISCONNECTED),
    "another kind": (watch_of(line("ADDED", configmap("11", None, kind="Secret"))), Restart.GARBLED),
    "another kind's bookmark": (watch_of(bookmark("Pod", "11")), Restart.GARBLED),
    "an event of no type": (watch_of(line("CREATED", configmap("11", NEW))), Restart.GARBLED),
    "an error that is none": (watch_of(line("ERROR", configmap("11", NEW))), Restart.GARBLED),
    "no version": (watch_of(line("ADDED", configmap("", NEW))), Restart.GARBLED),
    "wrong types": (watch_of(line("ADDED", configmap("11", {"policy": 7}))), Restart.GARBLED),  # type: ignore[dict-item]
    "a list": (watch_of(b"[1, 2]\n"), Restart.GARBLED),
    "bytes that are no text": (watch_of(b'{"type": "\xff\xfe"}\n'), Restart.GARBLED),
    "nested too deep": (watch_of(b'{"type": "ADDED", "object": ' + b"[" * 100_000 + b"\n"), Restart.GARBLED),
}


@pytest.mark.parametrize(("answer", "reason"), WATCH_FAULTS.values(), ids=WATCH_FAULTS)
def test_a_watch_survives(fake: FakeApi, watching: Start, answer: Answer, reason: Restart) -> None:
    lists_again = reason is Restart.EXPIRED
    fake.script += [LIST, answer, *([RELIST] if lists_again else []), watch_of(CHANGE, end="hang")]
    it = watching()
    if lists_again:
        assert it.reported.wait(2) == [(OLD, "9"), (NEW, "19")]
        # Not "0": the cache of another API server may be older than what we have seen.
        assert fake.requests[2].query == {"fieldSelector": "metadata.name=policy", "resourceVersion": "10"}
    else:
        assert it.reported.wait(2) == [(OLD, "9"), (NEW, "11")]
        assert fake.requests[2].query["resourceVersion"] == "10"
    assert restarts(it) == {reason: 1}
    assert not it.deaths.items


LIST_FAULTS: dict[str, tuple[Answer, Restart]] = {
    "HTML": (whole(200, HTML), Restart.GARBLED),
    "half a list": (whole(200, b'{"kind": "ConfigMapList", "items": ['), Restart.GARBLED),
    "nothing": (whole(200, b""), Restart.GARBLED),
    "another kind": (listing("Secret", "5"), Restart.GARBLED),
    "one object": (whole(200, json.dumps(configmap("5", OLD)).encode()), Restart.GARBLED),
    "no version": (listing("ConfigMap", ""), Restart.GARBLED),
    "403": (status(403, "no"), Restart.FORBIDDEN),
    "429": (status(429, "no", Retry_After="2"), Restart.THROTTLED),
    "cut": (watch_of(b'{"kind"', end="cut"), Restart.DISCONNECTED),
}


@pytest.mark.parametrize(("answer", "reason"), LIST_FAULTS.values(), ids=LIST_FAULTS)
def test_a_list_is_asked_for_again(fake: FakeApi, watching: Start, answer: Answer, reason: Restart) -> None:
    fake.script += [answer, LIST]
    it = watching()
    it.reported.wait(1)
    assert it.reported.items == [(OLD, "9")]
    assert restarts(it) == {reason: 1}
    assert it.pauses.items == [{Restart.THROTTLED: 3.0, Restart.DISCONNECTED: 5.0}.get(reason, 1.0)]


@pytest.mark.parametrize(
    "answer",
    [status(410, "The provided resource version is too old"), status(504, "Timeout: Too large resource version: 10")],
    ids=["compacted", "too new"],
)
def test_a_version_that_cannot_be_listed_is_forgotten(fake: FakeApi, watching: Start, answer: Answer) -> None:
    fake.script += [LIST, status(410, "too old"), answer, RELIST]
    it = watching()
    assert it.reported.wait(2)[-1] == (NEW, "19")
    assert fake.requests[2].query["resourceVersion"] == "10"
    assert "resourceVersion" not in fake.requests[3].query


def test_a_gateways_timeout_does_not_send_the_list_to_etcd(fake: FakeApi, watching: Start) -> None:
    fake.script += [whole(504, HTML), LIST]
    it = watching()
    it.reported.wait(1)
    assert fake.requests[1].query["resourceVersion"] == "0"


def test_nodes_that_must_list_again_do_not_all_do_so_at_once(fake: FakeApi, watching: Start) -> None:
    fake.script += [LIST, status(410, "too old"), RELIST]
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return (low + high) / 2

    it = watching(Timing(relist_spread_s=10), uniform=uniform)
    it.reported.wait(2)
    assert (0.0, 10) in asked
    assert it.pauses[0] == 5.0


@pytest.mark.parametrize(("header", "pause_s"), [("7", 8.0), ("100000", 301.0), ("soon", 1.0), ("-5", 1.0)])
def test_a_server_that_names_a_time_is_left_alone_for_it(
    fake: FakeApi, watching: Start, header: str, pause_s: float
) -> None:
    fake.script += [LIST, status(429, "slow down", Retry_After=header)]
    it = watching(Timing(first_pause_s=1, longest_retry_after_s=300))
    assert it.pauses.wait(1)[0] == pause_s


def test_three_garbled_watches_and_the_objects_are_listed_again(fake: FakeApi, watching: Start) -> None:
    bad = watch_of(line("ADDED", configmap("11", None, kind="Secret")))
    fake.script += [LIST, bad, bad, bad, RELIST]
    it = watching()
    assert it.reported.wait(2)[-1] == (NEW, "19")
    assert [r.is_watch for r in fake.requests.wait(6)] == [False, True, True, True, False, True]


def test_good_lines_before_a_bad_one_count_and_do_not_shorten_the_pauses(fake: FakeApi, watching: Start) -> None:
    bad = watch_of(CHANGE, HTML + b"\n")
    fake.script += [LIST, bad, bad]
    it = watching(Timing(first_pause_s=1))
    assert it.pauses.wait(2)[:2] == [1, 2]
    assert it.reported.items == [(OLD, "9"), (NEW, "11")]
    assert fake.requests[2].query["resourceVersion"] == "11"


def test_an_unusable_object_costs_only_itself(fake: FakeApi, watching: Start, captured: LogCapture) -> None:
    bad = {"metadata": {"name": "other", "resourceVersion": "3", "labels": {"a": 1}}}
    fake.script += [listing("ConfigMap", "10", bad, configmap("8", None, kind="Secret"), configmap("9", OLD))]
    it = watching()
    it.reported.wait(1)
    assert it.reported.items == [(OLD, "9")]
    assert it.stats.unusable == 2
    assert [e["event"] for e in captured.entries].count("kube_object_unusable") == 2


@pytest.mark.parametrize("silent", [hanging(), dripping(b" ")], ids=["nothing", "a byte now and then"])
def test_a_silent_watch_is_given_up(fake: FakeApi, watching: Start, silent: Answer) -> None:
    fake.script += [LIST, silent, watch_of(CHANGE, end="hang")]
    it = watching(Timing(silence_s=0.2))
    it.reported.wait(2)
    assert it.stats.restarts[Restart.SILENT] >= 1
    assert fake.requests[2].query["resourceVersion"] == "10"


def test_an_expired_token_is_read_again_and_used_at_once(
    fake: FakeApi, watching: Start, kubeconfig: Path, captured: LogCapture
) -> None:
    refused = threading.Event()

    def unauthorized() -> Answer:
        (kubeconfig.parent / "token").write_text("second")
        refused.set()
        return status(401, "Unauthorized")

    fake.script += [LIST, unauthorized, hanging()]
    it = watching()
    last = fake.requests.wait(3)[2]
    assert refused.is_set()
    assert last.headers["authorization"] == "Bearer second"
    assert it.pauses.items == []


def test_credentials_that_stay_bad_are_not_tried_in_a_hurry(fake: FakeApi, watching: Start, kubeconfig: Path) -> None:
    fake.script += [status(401, "Unauthorized")] * 3 + [LIST]
    it = watching(Timing(first_pause_s=1))
    it.reported.wait(1)
    assert it.pauses.items == [2, 4]


def test_a_kubeconfig_that_vanished_is_no_death(
    fake: FakeApi, watching: Start, kubeconfig: Path, captured: LogCapture
) -> None:
    kubeconfig.unlink()
    fake.script += [status(401, "Unauthorized"), LIST]
    it = watching()
    it.reported.wait(1)
    assert [e["error"] for e in captured.entries if e["event"] == "kube_credentials_bad"] == [
        f"cannot read kubeconfig {kubeconfig}: No such file or directory"
    ]


def test_a_server_that_is_away_is_found_when_it_returns(tmp_path: Path, log: Any) -> None:
    with FakeApi() as fake:
        port = fake.port  # free again afterwards
    back = threading.Event()

    def pause(stop: threading.Event, pause_s: float) -> None:
        it.pauses.append(pause_s)
        back.wait(fake_api.LIMIT_S)

    it = Watching(connect(write_kubeconfig(tmp_path, f"http://127.0.0.1:{port}")), log, Timing(), pause=pause)
    it.watch.start()
    it.pauses.wait(1)
    path = "/api/v1/namespaces/koordnri-system/configmaps"
    assert it.stats.problem.startswith(f"GET {path}: cannot reach http://127.0.0.1:{port}: ")
    with FakeApi([LIST], port=port):
        back.set()
        assert it.reported.wait(1) == [(OLD, "9")]
        assert it.stats.restarts[Restart.UNREACHABLE] == 1
        it.watch.stop()


def test_one_warning_reports_a_long_absence(fake: FakeApi, watching: Start, captured: LogCapture) -> None:
    fake.script += [status(403, "configmaps is forbidden: User me cannot list")] * 5 + [LIST]
    it = watching()
    it.reported.wait(1)
    reported = [e for e in captured.entries if e["event"] == "kube_watch_restarted"]
    assert [e["log_level"] for e in reported] == ["warning"] + ["debug"] * 4
    assert reported[0]["reason"] == "forbidden"
    assert "the API server answered 403: configmaps is forbidden: User me cannot list" in reported[0]["error"]


class TestStop:
    """`stop` returns when the thread has ended; the fixture asserts that of every watch in this file."""

    def test_while_nothing_happens(self, fake: FakeApi, watching: Start) -> None:
        fake.script += [LIST]
        it = watching()
        fake.requests.wait(2)
        it.watch.stop(fake_api.LIMIT_S)
        assert not it.watch.alive
        assert restarts(it) == {}

    def test_while_a_list_does_not_come(self, fake: FakeApi, watching: Start) -> None:
        fake.script += [watch_of(b"{", end="hang")]
        it = watching()
        fake.requests.wait(1)
        it.watch.stop(fake_api.LIMIT_S)
        assert not it.watch.alive

    def test_while_it_waits(self, fake: FakeApi, api: Any, log: Any) -> None:
        fake.script += [status(429, "go away", Retry_After="300")]
        pausing = threading.Event()

        def pause(stop: threading.Event, pause_s: float) -> None:
            pausing.set()
            wait(stop, pause_s)

        it = Watching(api, log, Timing(), pause=pause)
        it.watch.start()
        assert pausing.wait(fake_api.LIMIT_S)
        it.watch.stop(fake_api.LIMIT_S)
        assert not it.watch.alive

    def test_before_the_start(self, api: Any, log: Any) -> None:
        Watching(api, log, Timing()).watch.stop()

    def test_with_no_more_reported_afterwards(self, fake: FakeApi, watching: Start) -> None:
        live = Live()
        fake.script += [LIST, live]
        it = watching()
        fake.requests.wait(2)
        it.watch.stop(fake_api.LIMIT_S)
        live.send(CHANGE)
        live.end()
        assert it.reported.items == [(OLD, "9")]


def test_a_bug_in_whoever_is_called_costs_that_object_and_is_not_hidden(
    fake: FakeApi, api: Any, log: Any, captured: LogCapture
) -> None:
    deaths: fake_api.Seen[BaseException] = fake_api.Seen()
    reported: fake_api.Seen[object] = fake_api.Seen()

    def broken_at_first(data: object, version: str) -> None:
        reported.append(data)
        if len(reported.items) == 1:
            raise ZeroDivisionError("a bug")

    live = Live()
    fake.script += [LIST, live]
    watch = ConfigMapWatch(api, "koordnri-system", "policy", broken_at_first, log, on_death=deaths.append).watch
    watch.start()
    fake.requests.wait(2)
    live.send(CHANGE)
    reported.wait(2)
    watch.stop(fake_api.LIMIT_S)
    live.end()
    assert (deaths.items, watch.stats.unusable) == ([], 1)
    entry = next(e for e in captured.entries if e["event"] == "kube_object_unusable")
    assert entry["error"] == "bug in koordnri, ZeroDivisionError: a bug"
    assert entry["exc_info"]
