"""The way to the API server: kubeconfig, service account, TLS, and what is reported when there is none."""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from koordnri.kube import NotConfigured, Timing, Unreachable, connect
from tests.kube import fake_api
from tests.kube.fake_api import Answer, FakeApi, configmap, listing, status, whole
from tests.kube.watched import KUBECONFIG, Watching

LIST = listing("ConfigMap", "10", configmap("9", {"policy": "old"}))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl on this machine, which makes the test's certificate")
    folder = tmp_path_factory.mktemp("tls")
    chain, key = folder / "ca.crt", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=fake"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(chain)]
    subprocess.run(command, check=True, capture_output=True)
    return chain, key


@pytest.fixture
def secure(certificate: tuple[Path, Path]) -> Iterator[FakeApi]:
    with FakeApi(certificate=certificate) as server:
        yield server


@pytest.fixture
def account(tmp_path: Path, certificate: tuple[Path, Path]) -> Path:
    """A folder as kubelet mounts it."""
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "ca.crt").write_bytes(certificate[0].read_bytes())
    (folder / "token").write_text("pod-token")
    return folder


def environ(fake: FakeApi) -> dict[str, str]:
    return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(fake.port)}


class TestInAPod:
    def test_the_service_account_is_used(self, secure: FakeApi, account: Path) -> None:
        secure.script += [whole(200, b"{}")]
        api = connect(None, environ(secure), account)
        assert api.server == secure.url
        with api.open("GET", "/x", {"a": "b=c"}) as reply:
            assert reply.read() == b"{}"
        request = secure.requests[0]
        assert (request.path, request.query) == ("/x", {"a": "b=c"})
        assert request.headers["authorization"].lower() == "bearer pod-token"

    def test_a_rotated_token_is_used_after_a_refusal(self, secure: FakeApi, account: Path, log: Any) -> None:
        def unauthorized() -> Answer:
            (account / "token").write_text("rotated")
            return status(401, "Unauthorized")

        secure.script += [unauthorized, LIST]
        it = Watching(connect(None, environ(secure), account), log, Timing())
        it.watch.start()
        it.reported.wait(1)
        assert [r.headers["authorization"].lower() for r in secure.requests.items[:2]] == [
            "bearer pod-token",
            "bearer rotated",
        ]
        it.watch.stop()

    def test_a_silent_watch_over_tls_can_be_stopped(self, secure: FakeApi, account: Path, log: Any) -> None:
        secure.script += [LIST]
        it = Watching(connect(None, environ(secure), account), log, Timing())
        it.watch.start()
        secure.requests.wait(2)
        it.watch.stop(fake_api.LIMIT_S)
        assert not it.watch.alive
        assert not it.deaths.items

    def test_a_server_with_another_authority_is_not_talked_to(self, secure: FakeApi, account: Path) -> None:
        (account / "ca.crt").write_bytes(Path(__file__).with_name("other-ca.crt").read_bytes())
        with pytest.raises(Unreachable, match=r"certificate verify failed"):
            connect(None, environ(secure), account).open("GET", "/x")
        assert len(secure.requests) == 0

    @pytest.mark.parametrize("missing", ["token", "ca.crt"])
    def test_a_missing_file_is_named(self, secure: FakeApi, account: Path, missing: str) -> None:
        (account / missing).unlink()
        with pytest.raises(NotConfigured) as caught:
            connect(None, environ(secure), account)
        assert f"{account / missing} does not exist" in str(caught.value)
        assert "automountServiceAccountToken" in str(caught.value)

    def test_an_empty_token_is_reported(self, secure: FakeApi, account: Path) -> None:
        (account / "token").write_text("")
        with pytest.raises(NotConfigured, match=r"Token file exists but empty"):
            connect(None, environ(secure), account)


def test_without_pod_and_kubeconfig_there_is_no_way() -> None:
    with pytest.raises(NotConfigured, match=r"KUBERNETES_SERVICE_HOST is not set.*give --kubeconfig"):
        connect(None, {})


def test_a_kubeconfig_with_everything_inside(secure: FakeApi, certificate: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    text = KUBECONFIG.format(server=secure.url).replace("tokenFile: token", "token: inline")
    data = base64.b64encode(certificate[0].read_bytes()).decode()
    path.write_text(text.replace("cluster: {server", f"cluster: {{certificate-authority-data: {data}, server"))
    secure.script += [whole(200, b"{}")]
    with connect(path).open("GET", "/x"):
        pass
    assert secure.requests[0].headers["authorization"] == "Bearer inline"


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        (None, "cannot read kubeconfig {path}: No such file or directory"),
        ("", "kubeconfig {path} is not usable: "),
        ("{", "kubeconfig {path} is not usable: "),
        ("just text", "kubeconfig {path} is not usable: "),
        ("[1, 2]", "kubeconfig {path} is not usable: "),
        ("apiVersion: v1", "kubeconfig {path} is not usable: "),
        (KUBECONFIG.format(server="http://x").replace("current-context: here", ""), "Expected key current-context"),
        (KUBECONFIG.format(server="http://x").replace("cluster: fake,", "cluster: gone,"), "gone"),
        (KUBECONFIG.format(server="http://x"), "/token"),
    ],
    ids=["missing", "empty", "broken", "text", "list", "hollow", "no context", "unknown cluster", "no token file"],
)
def test_a_bad_kubeconfig_is_named_with_its_mistake(tmp_path: Path, text: str | None, reported: str) -> None:
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    with pytest.raises(NotConfigured) as caught:
        connect(path)
    assert reported.format(path=path) in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["plain", "plain\n", "plain\r\n"])
def test_a_token_file_may_end_in_a_newline(fake: FakeApi, kubeconfig: Path, text: str) -> None:
    (kubeconfig.parent / "token").write_text(text)
    fake.script += [whole(200, b"{}")]
    with connect(kubeconfig).open("GET", "/x"):
        pass
    assert fake.requests[0].headers["authorization"] == "Bearer plain"


@pytest.mark.parametrize("text", ["sec\nret", "sec\x00ret", "sécret"])
def test_a_token_that_is_none_is_reported_without_quoting_it(fake: FakeApi, kubeconfig: Path, text: str) -> None:
    (kubeconfig.parent / "token").write_text(text)
    with pytest.raises(NotConfigured) as caught:
        connect(kubeconfig).open("GET", "/x")
    assert str(caught.value) == f"the token of {kubeconfig} has characters that no token has: is it the right file?"


LIGHT = """
import sys
from pathlib import Path
from koordnri.kube import connect
connect(None, {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}, Path(sys.argv[1]))
heavy = {"pydantic", "requests", "oauthlib", "kubernetes.dynamic"} & sys.modules.keys()
assert not heavy, heavy
"""
WHOLE = """
import kubernetes, kubernetes.config
assert kubernetes.__version__ and kubernetes.config.load_kube_config and kubernetes.client.V1Pod
"""


@pytest.mark.parametrize("then", ["", WHOLE], ids=["", "and the whole client after that"])
def test_in_a_pod_only_the_needed_part_of_the_client_is_loaded(account: Path, then: str) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", LIGHT + then, str(account)], check=True, timeout=60)


def test_importing_the_room_does_not_import_the_client() -> None:
    code = "import sys, koordnri.kube; assert not {'kubernetes', 'urllib3'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
