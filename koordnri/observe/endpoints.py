"""The pages of `--listen` and `--listen-health`: `/metrics`, `/v1/policy`, `/healthz`, `/readyz`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from koordnri.observe.http import HTTPAnswer, HTTPRequest, Pages, json_answer, text_answer


def metrics_pages(registry: CollectorRegistry, policy: Callable[[], Mapping[str, Any]]) -> Pages:
    """What people and Prometheus read.

    policy   returns the state of the policy for JSON
    """

    # A scrape takes some 10 ms of the interpreter. Many at a time would hold up the thread that answers the runtime.
    turn = threading.Lock()

    def metrics(request: HTTPRequest) -> HTTPAnswer:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        with turn:
            return HTTPAnswer(200, encode(registry), content_type)

    return {"/metrics": {"GET": metrics}, "/v1/policy": {"GET": lambda _: json_answer(policy())}}


def health_pages(problems: Callable[[], list[str]], warnings: Callable[[], list[str]] = list) -> Pages:
    """What kubelet probes.

    problems   returns what keeps the daemon from being ready; empty: ready
    warnings   returns problems that do not keep the daemon from being ready
    """

    def readiness(_: HTTPRequest) -> HTTPAnswer:
        found = problems()
        text = "".join(f"not ready: {p}\n" for p in found) or "ok\n"
        return text_answer(text + "".join(f"warning: {w}\n" for w in warnings()), 503 if found else 200)

    return {"/healthz": {"GET": lambda _: text_answer("ok\n")}, "/readyz": {"GET": readiness}}
