"""A real etcd and kube-apiserver on loopback: RBAC, static tokens, no controllers, no kubelet. tools/lab_apiserver.py makes them.

Whoever is to be somebody has a token here.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.e2e import lab
from tests.kube.api_server import ADMIN, DAEMON, STRANGER, ApiServer, Json
from tests.support.waiting import eventually

ETCD = lab.LAB_DIR / "etcd" / "usr" / "bin" / "etcd"
APISERVER = lab.LAB_DIR / "kubernetes" / "kube-apiserver"
SERVICE_ADDRESS = "10.96.0.1"
"""The first address of the services' range: the server's certificate has it, and nobody here serves it. The virtual machine does."""
GRACE_S = 1.5
_USERS = {
    ADMIN: ("admin", "system:masters"),
    DAEMON: ("system:serviceaccount:koordnri-system:koordnri", "system:serviceaccounts"),
    STRANGER: ("stranger", ""),
}
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    # A watch is answered when it ends; what counts here is that it was asked for.
    "omitStages": ["ResponseStarted", "ResponseComplete"],
    "rules": [{"level": "Metadata", "users": [user for token, (user, _) in _USERS.items() if token != ADMIN]}],
}


def lacks() -> str | None:
    """Why there can be no API server here, or None."""
    absent = [str(path) for path in (ETCD, APISERVER) if not path.exists()]
    return f"laboratory incomplete, no {', '.join(absent)}: run python tools/lab_setup.py" if absent else None


class ControlPlane(ApiServer):
    """etcd and kube-apiserver with all that they write below `work`. Start, stop and start again; ports and data stay."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.port, self._etcd_port, self._peer_port = _free_ports(3)
        super().__init__(f"https://127.0.0.1:{self.port}", work / "apiserver" / "apiserver.crt")
        self._audit = work / "audit.log"
        self.flags: tuple[str, ...] = ()
        """of the last start, beyond the usual ones"""
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        tokens = [f'{token},{user},{token},"{group}"' for token, (user, group) in _USERS.items()]
        (work / "tokens.csv").write_text("\n".join(tokens) + "\n")
        (work / "audit.json").write_text(json.dumps(_AUDIT_POLICY))

    def start(self, *more: str) -> None:
        """Start what does not run, and wait until it is ready. `more` are further flags of kube-apiserver."""
        if "etcd" not in self._processes:
            etcd, peer = (f"http://127.0.0.1:{port}" for port in (self._etcd_port, self._peer_port))
            self._run(
                *(ETCD, "--data-dir", self.work / "etcd", "--unsafe-no-fsync"),
                *("--listen-client-urls", etcd, "--advertise-client-urls", etcd),
                *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
                *("--initial-cluster", f"default={peer}"),
            )
        key = self.work / "apiserver" / "apiserver.key"
        self._run(
            *(APISERVER, f"--etcd-servers=http://127.0.0.1:{self._etcd_port}", "--etcd-compaction-interval=0"),
            *("--bind-address=127.0.0.1", f"--secure-port={self.port}", f"--cert-dir={self.work}/apiserver"),
            *("--authorization-mode=RBAC", "--anonymous-auth=false", f"--token-auth-file={self.work}/tokens.csv"),
            # There is no controller that would make the accounts. The key is the server's own, made at its start.
            *("--disable-admission-plugins=ServiceAccount", f"--service-account-signing-key-file={key}"),
            *("--service-account-issuer=https://koordnri.test", f"--service-account-key-file={key}"),
            *("--service-cluster-ip-range=10.96.0.0/16", "--endpoint-reconciler-type=none"),
            *(f"--audit-policy-file={self.work}/audit.json", f"--audit-log-path={self._audit}"),
            *more,
        )
        self.flags = more
        eventually(self._ready, f"kube-apiserver ready (log: {self.work}/kube-apiserver.log)", 60)

    def stop(self, number: signal.Signals = signal.SIGTERM, *, etcd: bool = False) -> None:
        """End kube-apiserver, and etcd too when asked.

        When it is asked to end, it stops listening and goes on serving its watches for a minute, unless it is killed.
        """
        for name in ("kube-apiserver", "etcd") if etcd else ("kube-apiserver",):
            process = self._processes.pop(name, None)
            if process is None:
                continue
            process.send_signal(number)
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def restart(self, number: signal.Signals = signal.SIGTERM, *more: str) -> None:
        """End kube-apiserver and start it again, with these further flags."""
        self.stop(number)
        self.start(*more)

    def compact(self) -> None:
        """Have etcd forget everything but the newest versions."""
        status = self._etcd("maintenance/status", {})
        self._etcd("kv/compaction", {"revision": status["header"]["revision"], "physical": True})

    # -- what was asked -----------------------------------------------------------------------------------------------

    def asked(self, token: str, resource: str = "") -> list[Json]:
        """What this token's owner has asked for so far: verb, resource, namespace, name, query; from the audit log."""
        user, _ = _USERS[token]
        found: list[Json] = []
        if not self._audit.exists():  # it is made at the first request that is logged
            return found
        for line in self._audit.read_text().splitlines():
            event = json.loads(line)
            about = event.get("objectRef", {})
            if event["user"]["username"] == user and resource in ("", about.get("resource")):
                query = dict(parse_qsl(urlsplit(event["requestURI"]).query))
                found.append({"verb": event["verb"], "query": query, **about})
        return found

    # -- processes ----------------------------------------------------------------------------------------------------

    def _run(self, command: Path, *arguments: str | Path) -> None:
        with (self.work / f"{command.name}.log").open("ab") as log:
            self._processes[command.name] = subprocess.Popen(
                [command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.work,
                start_new_session=True,
            )

    def _ready(self) -> bool:
        for name, process in self._processes.items():
            code = process.poll()
            assert code is None, f"{name} ended with {code}: {self.log_tail(name)}"
        if not self.certificate.exists():
            return False
        request = urllib.request.Request(f"{self.url}/readyz", headers={"Authorization": f"Bearer {ADMIN}"})
        context = ssl.create_default_context(cafile=str(self.certificate))
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5, context=context):
            return True
        return False

    def log_tail(self, name: str, lines: int = 12) -> str:
        """The last lines of a process's log."""
        return "\n".join((self.work / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])

    def _etcd(self, method: str, body: Json) -> Json:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._etcd_port}/v3/{method}", json.dumps(body).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            body: Json = json.loads(answer.read())
            return body


@contextlib.contextmanager
def running(work: Path) -> Iterator[ControlPlane]:
    """One that runs meanwhile. Where the laboratory has none, the test is skipped; not so in CI."""
    reason = lacks()
    if reason is not None:
        (pytest.fail if lab.CI else pytest.skip)(reason)
    real = ControlPlane(work)
    try:
        real.start()
        yield real
    finally:
        real.stop(etcd=True)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
