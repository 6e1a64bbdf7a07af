"""The daemon's ports: what each of them serves."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from koordnri.daemon.config import Config, ConfigError
from koordnri.daemon.daemon import Daemon
from koordnri.daemon.wiring import Given
from tests.daemon.running import NODE, Running


def status(port: int | None, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code


def test_health_has_a_port_that_serves_nothing_else(start: Callable[..., Running]) -> None:
    daemon = start(listen_health=("127.0.0.1", 0)).daemon
    found = {path: status(daemon.health_port, path) for path in ("/healthz", "/readyz", "/metrics", "/v1/policy")}
    assert found == {"/healthz": 200, "/readyz": 503, "/metrics": 404, "/v1/policy": 404}
    assert status(daemon.port, "/metrics") == status(daemon.port, "/healthz") == 200


def test_health_is_not_listened_for_unless_asked(start: Callable[..., Running]) -> None:
    assert start().daemon.health_port is None


@pytest.mark.parametrize("option", ["listen", "listen_health", "page"])
def test_a_port_that_is_taken_is_named_with_its_option(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, open(tmp_path / "log", "wb") as log:
        address = ("127.0.0.1", taken.getsockname()[1])
        config = Config(state_dir=tmp_path / "state", **({"listen": None} | {option: address}))
        match = f"^--{option.replace('_', '-')} 127.0.0.1:{address[1]}: .*in use"
        with pytest.raises(ConfigError, match=match):
            Daemon(config, Given(NODE), log_fd=log.fileno()).run()
