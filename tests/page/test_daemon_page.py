"""The daemon serves its page when it is asked to, and what it shows follows the node."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from koordnri.daemon.config import Config, ConfigError
from koordnri.daemon.daemon import Daemon
from koordnri.daemon.wiring import Given
from koordnri.model import NodeState
from tests.page.served import HOSTILE, Served, served
from tests.support.waiting import eventually


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as it:
        yield it


def test_off_by_default() -> None:
    assert Config().page is None


def test_what_the_page_asks_and_nothing_that_changes_the_node(node: Served) -> None:
    node.run_pod("web-0", burst=HOSTILE)
    for path in ("status", "map", "containers", "shares", "explain?pod=shop/web-0", "why?pod=shop/web-0"):
        assert node.json(f"/v1/{path}")
    for path in ("release", "diff", "node", "policy", "policy-document"):
        assert node.request(f"/v1/{path}").status == 404
    (error,) = {one["message"] for one in node.json("/v1/explain?pod=shop/web-0")["errors"]}
    assert HOSTILE in error  # as it is: the browser shows it as text


def test_a_new_container_is_a_change(node: Served) -> None:
    assert node.daemon.page_port is not None
    connection = http.client.HTTPConnection("127.0.0.1", node.daemon.page_port, timeout=20)
    connection.request("GET", "/v1/changes")
    answer = connection.getresponse()
    assert answer.readline() == b"retry: 3000\n"
    node.run_pod("web-0")
    lines = iter(answer.readline, b"")
    assert b"event: changed\n" in lines
    connection.close()
    answer.close()


def test_the_mark_stays_while_nothing_changes(node: Served) -> None:
    """Else an idle node would be drawn again every second."""
    node.run_pod("web-0")
    parts = node.daemon.parts

    def settled() -> bool:
        before = parts.mark()
        node.json("/v1/status")  # settles the history
        return before == parts.mark()

    eventually(settled, "the mark is as it was")
    before = parts.mark()
    node.run_pod("web-1")
    assert parts.mark() != before


def test_a_taken_port_is_an_error_that_names_the_option(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = Config(
            nri_socket=str(tmp_path / "nri.sock"), state_dir=tmp_path, listen=None, page=("127.0.0.1", port)
        )
        with pytest.raises(ConfigError, match=f"--page 127.0.0.1:{port}: "):
            Daemon(config, Given(NodeState(name="n"))).run()
