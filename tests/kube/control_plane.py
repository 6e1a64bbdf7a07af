"""A real etcd and kube-apiserver on loopback: RBAC, static tokens, no controllers, no kubelet. tools/lab_apiserver.py makes them.

Whoever is to be somebody has a token here; `admin` may do everything. Objects are made and changed by plain HTTP, so that no code of
ours is on both sides of a test.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

from tests.e2e import lab
from tests.support.waiting import eventually

Json = dict[str, Any]
ETCD = lab.LAB_DIR / "etcd" / "usr" / "bin" / "etcd"
APISERVER = lab.LAB_DIR / "kubernetes" / "kube-apiserver"
ADMIN = "admin"
DAEMON = "daemon"
"""token of the service account that deploy/ gives the daemon"""
STRANGER = "stranger"
"""token of a user without any role"""
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
_KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{{name: here, context: {{cluster: real, user: me}}}}]
clusters: [{{name: real, cluster: {{server: "{server}", certificate-authority: "{authority}"}}}}]
users: [{{name: me, user: {{tokenFile: token}}}}]
"""


def lacks() -> str | None:
    """Why there can be no API server here, or None."""
    absent = [str(path) for path in (ETCD, APISERVER) if not path.exists()]
    return f"laboratory incomplete, no {', '.join(absent)}: run python tools/lab_setup.py" if absent else None


RBAC = "/apis/rbac.authorization.k8s.io/v1"
_RBAC_PATHS = {
    "ClusterRole": f"{RBAC}/clusterroles",
    "ClusterRoleBinding": f"{RBAC}/clusterrolebindings",
    "Role": f"{RBAC}/namespaces/{{}}/roles",
    "RoleBinding": f"{RBAC}/namespaces/{{}}/rolebindings",
}


class RefusedError(Exception):
    """The API server refused a request of the test itself."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class ControlPlane:
    """etcd and kube-apiserver with all that they write below `work`. Start, stop and start again; ports and data stay."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.port, self._etcd_port, self._peer_port = _free_ports(3)
        self.url = f"https://127.0.0.1:{self.port}"
        self._certificate = work / "apiserver" / "apiserver.crt"
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

    def kubeconfig(self, folder: Path, token: str) -> Path:
        """One for this server in `folder`, with the token in a file beside it."""
        (folder / "token").write_text(token)
        path = folder / "kubeconfig"
        path.write_text(_KUBECONFIG.format(server=self.url, authority=self._certificate))
        return path

    # -- objects ------------------------------------------------------------------------------------------------------

    def call(
        self, method: str, path: str, body: Json | None = None, *, patch: str = "merge-patch", token: str = ADMIN
    ) -> Json:
        """The answer to a request. Raises RefusedError."""
        content_type = f"application/{patch}+json" if method == "PATCH" else "application/json"
        request = urllib.request.Request(
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {token}", "Content-Type": content_type},
            method=method,
        )
        context = ssl.create_default_context(cafile=str(self._certificate))
        try:
            with urllib.request.urlopen(request, timeout=20, context=context) as answer:
                body: Json = json.loads(answer.read())
                return body
        except urllib.error.HTTPError as error:
            with error:
                raise RefusedError(error.code, error.read().decode(errors="replace")) from None

    def create(self, path: str, body: Json) -> Json:
        """An object into the collection at `path`."""
        return self.call("POST", path, body)

    def patch(self, path: str, body: Json) -> Json:
        """Merge `body` into the object at `path`."""
        return self.call("PATCH", path, body)

    def delete(self, path: str) -> None:
        """At once, without a grace that only a kubelet could end."""
        self.call("DELETE", path, {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})

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
        if not self._certificate.exists():
            return False
        request = urllib.request.Request(f"{self.url}/readyz", headers={"Authorization": f"Bearer {ADMIN}"})
        context = ssl.create_default_context(cafile=str(self._certificate))
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


def grant(plane: ControlPlane, component: str) -> list[Json]:
    """Create the roles and bindings of a component of deploy/, and its namespace. Returns the roles and bindings."""
    granted = []
    for path in sorted((lab.ROOT / "deploy" / component).glob("*.yaml")):
        manifest = yaml.safe_load(path.read_text())
        if manifest["kind"] == "Namespace":
            plane.create("/api/v1/namespaces", manifest)
        elif manifest["kind"] in _RBAC_PATHS:
            plane.create(_RBAC_PATHS[manifest["kind"]].format(manifest["metadata"].get("namespace")), manifest)
            granted.append(manifest)
    return granted


class Deployed:
    """The roles and bindings of deploy/, as they hold for the token DAEMON, and the ConfigMap that they are for."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        plane.create("/api/v1/namespaces", {"metadata": {"name": "koordnri-system"}})
        self.manifests = grant(plane, "api-access")
        (role,) = [manifest for manifest in self.manifests if manifest["kind"] == "Role"]
        ((name,),) = [rule["resourceNames"] for rule in role["rules"]]
        self.policy: tuple[str, str] = (role["metadata"]["namespace"], name)
        """namespace and name"""

    def write_policy(self, data: dict[str, str]) -> None:
        """The ConfigMap has these data from now on and no others."""
        namespace, name = self.policy
        collection = f"/api/v1/namespaces/{namespace}/configmaps"
        body = {"metadata": {"name": name}, "data": data}
        try:
            self._plane.call("PUT", f"{collection}/{name}", body)
        except RefusedError as error:
            if error.code != 404:
                raise
            self._plane.create(collection, body)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
