"""Talks to the running daemon through its control socket. koordnri.observe.control describes the requests."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import sys
import urllib.parse
from pathlib import Path
from typing import Any

import click

from koordnri.cli.inputs import BAD_INPUT

SOCKET_NAME = "koordnri.sock"
"""As in koordnri.observe.control, which is not imported here because it imports the metrics library."""
ANSWER_TIMEOUT_S = 60.0
"""A full node is compared or written in a second or two; a daemon that takes longer than this hangs."""
_START = "is `koordnri run` running on this node, and with this --state-dir?"


class ControlError(click.ClickException):
    """The daemon cannot be reached, or refused. Its exit code is not 1, which for `diff` means differences."""

    exit_code = BAD_INPUT


def question(state_dir: Path, name: str, **parameters: str) -> Any:
    """Ask the daemon a question (koordnri.observe.questions) and return its answer. Raises ControlError that says what to do."""
    query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
    return _request(state_dir, "GET", f"/v1/{name}{query}", None)


def ask(state_dir: Path, path: str, body: Any) -> Any:
    """POST `body` to the daemon and return its answer. Raises ControlError that says what to do; prints a policy's mistakes before."""
    return _request(state_dir, "POST", path, json.dumps(body).encode())


def _request(state_dir: Path, method: str, path: str, body: bytes | None) -> Any:
    where = state_dir / SOCKET_NAME
    connection = _Connection(state_dir)
    try:
        # The daemon may answer before it has read the whole body.
        with contextlib.suppress(BrokenPipeError):
            connection.request(method, path, body, {} if body is None else {"Content-Type": "application/json"})
        answer = connection.getresponse()
        status, content = answer.status, answer.read()
    except (FileNotFoundError, NotADirectoryError):
        raise ControlError(f"{where}: there is no such socket; {_START}") from None
    except ConnectionRefusedError:
        raise ControlError(f"{where}: nobody listens there any more; {_START}") from None
    except PermissionError:
        raise ControlError(f"{where}: permission denied; run this as the user that the daemon runs as, root") from None
    except TimeoutError:
        raise ControlError(f"{where}: no answer within {ANSWER_TIMEOUT_S:g} s; see the daemon's log") from None
    except (OSError, http.client.HTTPException) as error:
        raise ControlError(f"{where}: {error or type(error).__name__}; see the daemon's log") from None
    finally:
        connection.close()
    try:
        document = json.loads(content)
    except ValueError:
        document = {"error": content.decode(errors="replace").strip() or f"status {status}"}
    if status == 200:
        return document
    for mistake in document.get("mistakes", ()):
        print(f"{mistake['path']}: {mistake['message']}".removeprefix(": "), file=sys.stderr)
    raise ControlError(f"the daemon behind {where} says: {document.get('error', status)}")


class _Connection(http.client.HTTPConnection):
    def __init__(self, directory: Path) -> None:
        super().__init__("koordnri", timeout=ANSWER_TIMEOUT_S)
        self._directory = directory

    def connect(self) -> None:
        # Through a descriptor, since the address of a unix socket is limited to 107 bytes.
        fd = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(ANSWER_TIMEOUT_S)
            self.sock.connect(f"/proc/self/fd/{fd}/{SOCKET_NAME}")
        finally:
            os.close(fd)
