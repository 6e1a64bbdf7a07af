"""The pages of metrics and health, as functions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from email.message import Message

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from koordnri.observe.endpoints import health_pages, metrics_pages
from koordnri.observe.http import HTTPRequest, Pages

PLAIN = HTTPRequest(Message(), b"")


def asked(pages: Pages, path: str) -> tuple[int, str]:
    answer = pages[path]["GET"](PLAIN)
    return answer.status, answer.body.decode()


def test_pages_can_only_be_read() -> None:
    pages = {**metrics_pages(CollectorRegistry(), dict), **health_pages(list)}
    assert {path: list(methods) for path, methods in pages.items()} == {
        "/metrics": ["GET"],
        "/v1/policy": ["GET"],
        "/healthz": ["GET"],
        "/readyz": ["GET"],
    }


def test_metrics_and_policy_are_those_of_the_moment() -> None:
    registry, state = CollectorRegistry(), {"accepted": None}
    gauge = Gauge("answer", "of everything", registry=registry)
    pages = metrics_pages(registry, lambda: state)
    gauge.set(42)
    state["refused"] = None
    assert "answer 42.0\n" in asked(pages, "/metrics")[1]
    assert asked(pages, "/v1/policy") == (200, '{\n  "accepted": null,\n  "refused": null\n}\n')


def test_one_scrape_is_rendered_at_a_time() -> None:
    """However many clients ask, one thread beside the event path uses the interpreter for it."""
    now, most, rendered = 0, 0, threading.Semaphore(0)

    class Slow(Collector):
        def collect(self) -> Iterator[Metric]:
            nonlocal now, most
            now += 1
            most = max(most, now)
            rendered.acquire(timeout=0.02)  # others would come in meanwhile
            now -= 1
            yield from ()

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Slow())
    most = 0  # the registry may have asked, too
    pages = metrics_pages(registry, dict)
    threads = [threading.Thread(target=asked, args=(pages, "/metrics")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_health_knows_alive_from_ready() -> None:
    problems: list[str] = ["no runtime"]
    pages = health_pages(lambda: problems, lambda: ["disk full"])
    assert asked(pages, "/healthz") == (200, "ok\n")
    assert asked(pages, "/readyz") == (503, "not ready: no runtime\nwarning: disk full\n")
    problems.clear()
    assert asked(pages, "/readyz") == (200, "ok\nwarning: disk full\n")
