"""Requests to the API server, and what its answers become."""

from __future__ import annotations

import gzip
import json
import threading
from pathlib import Path

import pytest

from koordnri.kube import Api, ApiRefused, Garbled, NotConfigured
from koordnri.kube.api import retry_after_s
from tests.kube import fake_api
from tests.kube.fake_api import FakeApi, status, whole


def test_refusals_quote_the_server(fake: FakeApi, api: Api) -> None:
    fake.script += [status(403, "pods is forbidden"), whole(500, b"<html>\n<b>oops</b>")]
    with pytest.raises(ApiRefused, match=r"^GET /x: the API server answered 403: pods is forbidden$"):
        api.open("GET", "/x")
    with pytest.raises(ApiRefused, match=r"^GET /x: the API server answered 500: <html> <b>oops</b>$"):
        api.open("GET", "/x")


def test_a_redirect_is_not_followed_with_our_token(fake: FakeApi, api: Api) -> None:
    fake.script += [whole(307, b"", Location=f"{fake.url}/elsewhere")]
    with pytest.raises(ApiRefused, match="307"):
        api.open("GET", "/x")
    assert [r.path for r in fake.requests.items] == ["/x"]


def test_two_watches_with_one_expired_token_reload_once(kubeconfig: Path, api: Api) -> None:
    seen = api.generation
    api.reload(seen)
    kubeconfig.unlink()
    api.reload(seen)  # done already, or this would raise
    with pytest.raises(NotConfigured):
        api.reload(api.generation)


def test_a_body_that_was_read_leaves_its_connection_to_the_next_request(fake: FakeApi, api: Api) -> None:
    fake.script += [whole(200, b"{}")] * 2
    for _ in range(2):
        with api.open("GET", "/x") as reply:
            reply.read()
    assert fake.requests[0].client_port == fake.requests[1].client_port


def test_a_long_answer_may_be_compressed(fake: FakeApi, api: Api) -> None:
    body = json.dumps({"items": ["pod"] * 50_000}).encode()
    fake.script += [whole(200, gzip.compress(body), Content_Encoding="gzip")]
    with api.open("GET", "/x") as reply:
        assert reply.read() == body
    assert fake.requests[0].headers["accept-encoding"] == "gzip"


def test_a_compressed_body_is_limited_by_what_it_becomes(fake: FakeApi, api: Api) -> None:
    fake.script += [whole(200, gzip.compress(b"x" * 10_000_000), Content_Encoding="gzip")]
    with api.open("GET", "/x") as reply, pytest.raises(Garbled, match="expected at most 1000 bytes, got more"):
        reply.read(1000)


def test_an_endless_body_does_not_fill_the_memory(fake: FakeApi, api: Api) -> None:
    fake.script += [whole(200, b"x" * 1001), whole(200, b"x" * 1000)]
    with api.open("GET", "/x") as reply, pytest.raises(Garbled, match=r"GET /x: expected at most 1000 bytes, got more"):
        reply.read(1000)
    with api.open("GET", "/x") as reply:
        assert len(reply.read(1000)) == 1000


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("0", 0.0), ("12", 12.0), ("1.5", None), ("-1", None), ("٣", None), ("9" * 400, None)],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header) == seconds


def test_many_threads_may_ask_at_once(fake: FakeApi, api: Api) -> None:
    fake.script += [whole(200, b"%d" % n) for n in range(20)]
    got: fake_api.Seen[bytes] = fake_api.Seen()

    def ask() -> None:
        with api.open("GET", "/x") as reply:
            got.append(reply.read())

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(fake_api.LIMIT_S)
    assert sorted(map(int, got.items)) == list(range(20))
