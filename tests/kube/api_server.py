"""A client of a real API server for tests: objects made and changed by plain HTTP, so that no code of ours is on both sides of a test.

Whoever is to be somebody has a token there; `admin` may do everything.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

Json = dict[str, Any]
ADMIN = "admin"
DAEMON = "daemon"
"""token of the service account that deploy/ gives the daemon"""
STRANGER = "stranger"
"""token of a user without any role"""
_KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{{name: here, context: {{cluster: real, user: me}}}}]
clusters: [{{name: real, cluster: {{server: "{server}", certificate-authority: "{authority}"}}}}]
users: [{{name: me, user: {{tokenFile: token}}}}]
"""


class RefusedError(Exception):
    """The API server refused a request of the test itself."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class ApiServer:
    """An API server that runs somewhere.

    url           without a trailing slash
    certificate   file with the certificate by which it is known
    """

    def __init__(self, url: str, certificate: Path) -> None:
        self.url = url
        self.certificate = certificate

    def kubeconfig(self, folder: Path, token: str) -> Path:
        """One for this server in `folder`, with the token in a file beside it."""
        (folder / "token").write_text(token)
        path = folder / "kubeconfig"
        path.write_text(_KUBECONFIG.format(server=self.url, authority=self.certificate))
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
        context = ssl.create_default_context(cafile=str(self.certificate))
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
