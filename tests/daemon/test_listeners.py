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
from tests.observe.certificates import make_certificate, trusting


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


def test_metrics_and_policy_take_the_token_and_health_does_not(start: Callable[..., Running], tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("secret")
    daemon = start(listen_token_file=file).daemon
    found = {path: status(daemon.port, path) for path in ("/healthz", "/readyz", "/metrics", "/v1/policy")}
    assert found == {"/healthz": 200, "/readyz": 503, "/metrics": 401, "/v1/policy": 401}
    request = urllib.request.Request(f"http://127.0.0.1:{daemon.port}/metrics")
    request.add_header("Authorization", "Bearer secret")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert b"koordnri_connected" in answer.read()


def test_metrics_are_served_with_tls_and_health_for_kubelet_without(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    certificate, key = make_certificate(tmp_path, "one")
    daemon = start(listen_health=("127.0.0.1", 0), listen_tls_cert=certificate, listen_tls_key=key).daemon
    url = f"https://127.0.0.1:{daemon.port}/metrics"
    with urllib.request.urlopen(url, timeout=30, context=trusting(certificate)) as answer:
        assert b"koordnri_connected" in answer.read()
    assert status(daemon.health_port, "/healthz") == 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"listen_tls_cert": "none"}, "expected --listen-tls-cert and --listen-tls-key, got one of them"),
        ({"listen_tls_key": "none"}, "expected --listen-tls-cert and --listen-tls-key, got one of them"),
        ({"listen_tls_cert": "none", "listen_tls_key": "none"}, "--listen-tls-cert .*none.* No such file"),
        ({"listen_token_file": "none"}, "--listen-token-file: .* No such file"),
        ({"listen_token_file": "empty"}, "--listen-token-file: .*empty: expected one word"),
    ],
)
def test_a_secret_that_is_not_there_keeps_it_from_starting(
    tmp_path: Path, options: dict[str, str], message: str
) -> None:
    (tmp_path / "empty").touch()
    paths = {name: tmp_path / file for name, file in options.items()}
    with open(tmp_path / "log", "wb") as log, pytest.raises(ConfigError, match=message):
        Daemon(
            Config(state_dir=tmp_path / "state", listen=("127.0.0.1", 0), **paths), Given(NODE), log_fd=log.fileno()
        ).run()
