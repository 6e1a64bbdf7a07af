"""The control socket: what an administrator on the node may ask of the running daemon. HTTP over a unix socket, JSON in and out.

    GET  /v1/policy    the policy in force, and the last refused one
    POST /v1/diff      {"policy": P, "against": P; absent: the policy in force} → the shape in koordnri.reconcile.compare.rows.
                       P is the text of a manifest or of its data, or a mapping of keys to texts as in a mounted ConfigMap
    POST /v1/release   {"pod": "NAMESPACE/NAME"} or {"all": true} → {"released": [the shape in koordnri.reconcile.compare.rows…]}

Errors: 400 {"error"} for a malformed request, with "mistakes": [{"path", "message"}] for a policy that would be refused;
404 {"error"} for an unknown pod; 503 {"error"} for a timeout; 500 for a bug of ours.

Whoever can open the socket can change what containers get. So only its owner can (mode 0600), and it has no network port.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from koordnri.observe.bounded import Bounded
from koordnri.observe.http import Handler, HTTPAnswer, HTTPRequest, Pages, handler_of, json_answer
from koordnri.observe.questions import Question, pages_of
from koordnri.policy import PolicyDocument, PolicyError, load_data, load_policy
from koordnri.reconcile.compare.rows import Comparison, Released

SOCKET_NAME = "koordnri.sock"
MAX_BODY_BYTES = 8 << 20
"""Room for two policies of 1 MiB whose quotes and line ends JSON has escaped."""
_MAX_CONNECTIONS = 8
NO_QUESTIONS: Mapping[str, Question] = {}


class Controls(Protocol):
    """What the daemon offers to the socket. Several threads call it at once."""

    def policy_state(self) -> Mapping[str, Any]:
        """{"accepted": {"revision", "source", "strategies"…}, "refused": None or {"source", "mistakes": [{"path", "message"}]}}."""

    def compare(self, new: PolicyDocument, against: PolicyDocument | None) -> Comparison:
        """What `new` would change of running containers, compared with `against`, or with the policy in force."""

    def release(self, pod: str | None) -> Sequence[Released]:
        """Give `NAMESPACE/NAME`, or everything, back to kubelet, and check the files.

        Raises LookupError for an unknown pod, TimeoutError when it takes too long.
        """


class ControlServer:
    """Serves `controls` and the questions on `directory`/koordnri.sock in its own threads, until `close`.

    Only the holder of the node's lock may make one: it replaces the socket that another daemon left.
    """

    def __init__(self, directory: Path, controls: Controls, questions: Mapping[str, Question] = NO_QUESTIONS) -> None:
        """Binds at once. Raises OSError."""
        pages: Pages = {
            "/v1/policy": {"GET": lambda _: json_answer(controls.policy_state())},
            "/v1/diff": {"POST": lambda request: _diff(controls, request)},
            "/v1/release": {"POST": lambda request: _release(controls, request)},
            **pages_of(questions),
        }
        self.path = directory / SOCKET_NAME
        self._server = _UnixSocket(self.path, handler_of(_ControlHandler, pages))
        self._thread = threading.Thread(target=self._server.serve, name="control-socket", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving and remove the socket, unless a later daemon has put its own there."""
        self._server.end(self._thread)


class _UnixSocket(Bounded):
    address_family = socket.AF_UNIX
    connections = _MAX_CONNECTIONS

    def __init__(self, path: Path, handler: type[Handler]) -> None:
        self._path = path
        self._bound = -1
        """the socket's inode, once it exists"""
        super().__init__(str(path), handler)

    def server_bind(self) -> None:
        """Bind and listen in a private directory, then move the socket to its place. So it is never open to others, and never without
        a listener. (A umask would affect the whole process.)
        """
        path = self._path
        with tempfile.TemporaryDirectory(prefix=".koordnri-", dir=path.parent) as private:
            # Through a descriptor, since the address of a unix socket is limited to 107 bytes.
            fd = os.open(private, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self.socket.bind(f"/proc/self/fd/{fd}/{path.name}")
            finally:
                os.close(fd)
            bound = Path(private, path.name)
            bound.chmod(0o600)
            self.socket.listen(self.request_queue_size)
            self._bound = bound.stat().st_ino
            bound.replace(path)

    def server_activate(self) -> None:
        """It listens already."""

    def server_close(self) -> None:
        with contextlib.suppress(OSError):  # it, or its directory, is gone already
            if self._path.lstat().st_ino == self._bound:
                self._path.unlink()
        super().server_close()


class _ControlHandler(Handler):
    protocol_version = "HTTP/1.1"  # so that curl gets "100 Continue" before a long body

    def do_POST(self) -> None:  # noqa: N802  # the library's name for it
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self.respond(_wrong("expected a Content-Length", 411))
        elif len(length) > 20 or int(length) > MAX_BODY_BYTES:
            self.respond(_wrong(f"expected at most {MAX_BODY_BYTES} bytes, got {length[:20]}", 413))
        elif len(body := self.rfile.read(int(length))) == int(length):
            self.respond(self.answer("POST", body))
        self.close_connection = True

    def end_headers(self) -> None:
        self.send_header("Connection", "close")
        super().end_headers()


class _BadRequest(Exception):
    """The message says what was expected."""


class _BadPolicy(Exception):
    """One of the policies that were sent would be refused."""

    def __init__(self, key: str, error: PolicyError) -> None:
        super().__init__(f'"{key}" would be refused')
        self.error = error


def _diff(controls: Controls, request: HTTPRequest) -> HTTPAnswer:
    try:
        asked = _asked(request, {"policy", "against"})
        against = asked.get("against")
        new = _document(asked.get("policy"), "policy")
        return json_answer(controls.compare(new, None if against is None else _document(against, "against")).as_json())
    except _BadRequest as error:
        return _wrong(str(error))
    except _BadPolicy as bad:
        mistakes = [{"path": m.path, "message": m.message} for m in bad.error.mistakes]
        return json_answer({"error": str(bad), "mistakes": mistakes}, 400)


def _release(controls: Controls, request: HTTPRequest) -> HTTPAnswer:
    try:
        asked = _asked(request, {"pod", "all"})
        pod, everything = asked.get("pod"), asked.get("all", False)
        if type(everything) is not bool or everything is (pod is not None):
            raise _BadRequest('expected either "pod" or "all": true')
        if pod is not None and not (isinstance(pod, str) and all(pod.partition("/")) and pod.count("/") == 1):
            raise _BadRequest(f'"pod": expected NAMESPACE/NAME, got {json.dumps(pod)[:200]}')
        return json_answer({"released": [one.as_json() for one in controls.release(pod)]})
    except _BadRequest as error:
        return _wrong(str(error))
    except (KeyError, IndexError):
        raise  # a bug, not a pod that is not here
    except LookupError as error:
        return _wrong(str(error), 404)
    except TimeoutError as error:
        return _wrong(str(error), 503)


def _asked(request: HTTPRequest, known: set[str]) -> Mapping[str, Any]:
    try:
        asked = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise _BadRequest(f"expected JSON: {error}") from None
    if not isinstance(asked, dict):
        raise _BadRequest("expected a JSON object")
    if unknown := asked.keys() - known:
        raise _BadRequest(f'unknown key "{min(unknown)[:60]}"; there are {", ".join(sorted(known))}')
    return asked


def _document(given: Any, key: str) -> PolicyDocument:
    """Read with the daemon's own reader."""
    try:
        if isinstance(given, str):
            return load_policy(given, key)
        if isinstance(given, dict) and all(isinstance(text, str) for text in given.values()):
            return load_data(given, key)
    except PolicyError as error:
        raise _BadPolicy(key, error) from None
    raise _BadRequest(f'"{key}": expected the text of a policy, or a mapping of its keys to texts')


def _wrong(message: str, status: int = 400) -> HTTPAnswer:
    return json_answer({"error": message}, status)
