"""A port with TLS: who is served, what a renewal does, and what clients can do to it."""

from __future__ import annotations

import shutil
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from koordnri.observe.bounded import MAX_CONNECTIONS
from koordnri.observe.certificate import Certificate
from koordnri.observe.endpoints import health_pages
from koordnri.observe.http import Server, text_answer
from tests.observe.certificates import make_certificate, trusting

BIG = "x" * (4 << 20)


class Secured:
    """A server whose certificate the test replaces."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.failures: list[str] = []
        self.files = (directory / "tls.crt", directory / "tls.key")
        self.present("one")
        self.server = Server(
            "127.0.0.1",
            0,
            {**health_pages(list), "/big": {"GET": lambda _: text_answer(BIG)}},
            Certificate(*self.files, self.failures.append),
        )

    def present(self, name: str) -> None:
        """Have the files hold this certificate."""
        for made, file in zip(make_certificate(self.directory, name), self.files, strict=True):
            made.replace(made.with_suffix(made.suffix + ".kept"))
            shutil.copy(made.with_suffix(made.suffix + ".kept"), file.with_suffix(".new"))
            file.with_suffix(".new").replace(file)

    def get(self, path: str, trusted: str) -> str:
        context = trusting(self.directory / f"{trusted}.crt.kept")
        with urllib.request.urlopen(self.url(path), timeout=60, context=context) as answer:
            return str(answer.read().decode())

    def url(self, path: str) -> str:
        return f"https://127.0.0.1:{self.server.port}{path}"


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    it = Secured(tmp_path)
    yield it
    it.server.close()


def test_pages_are_served_with_tls_however_long(secured: Secured) -> None:
    assert secured.get("/healthz", "one") == "ok\n"
    assert secured.get("/big", "one") == BIG


def test_a_client_without_tls_learns_nothing_and_harms_nobody(secured: Secured) -> None:
    with socket.create_connection(("127.0.0.1", secured.server.port), timeout=60) as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        received = b""
        try:
            client.shutdown(socket.SHUT_WR)
            while more := client.recv(4096):
                received += more
        except OSError:  # the server hangs up at once, perhaps before we have sent the end
            pass
        assert b"ok" not in received
    assert secured.get("/healthz", "one") == "ok\n"


def test_clients_that_never_finish_the_handshake_make_room(secured: Secured) -> None:
    clients = []
    try:
        for _ in range(2 * MAX_CONNECTIONS):
            clients.append(socket.create_connection(("127.0.0.1", secured.server.port), timeout=60))
            clients[-1].sendall(b"\x16\x03\x01\x02\x00\x01")
        assert secured.get("/healthz", "one") == "ok\n"
    finally:
        for client in clients:
            client.close()


def test_a_renewed_certificate_holds_for_the_next_client(secured: Secured) -> None:
    assert secured.get("/healthz", "one") == "ok\n"
    secured.present("two")
    assert secured.get("/healthz", "two") == "ok\n"
    with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
        secured.get("/healthz", "one")
    assert secured.failures == []


def test_a_broken_renewal_keeps_the_former_certificate_and_is_reported_once(secured: Secured) -> None:
    secured.files[1].write_text("no key")
    for _ in range(2):
        assert secured.get("/healthz", "one") == "ok\n"
    (failure,) = secured.failures
    assert str(secured.files[1]) in failure
    secured.files[1].unlink()
    for _ in range(2):
        assert secured.get("/healthz", "one") == "ok\n"
    assert len(secured.failures) == 2
    secured.present("two")
    assert secured.get("/healthz", "two") == "ok\n"


def test_without_a_usable_certificate_there_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Certificate(tmp_path / "tls.crt", tmp_path / "tls.key")
    (tmp_path / "tls.crt").write_text("nonsense")
    (tmp_path / "tls.key").write_text("nonsense")
    with pytest.raises(ssl.SSLError):
        Certificate(tmp_path / "tls.crt", tmp_path / "tls.key")
