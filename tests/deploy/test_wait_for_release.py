"""The chart's script that waits until all nodes have released, against a server that answers as the API server does."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Answer = dict[str, Any] | int
"""a DaemonSet, or the status of an error"""


def daemon_set(ready: int, wanted: int, seen: int = 1) -> dict[str, Any]:
    status = {"observedGeneration": seen, "desiredNumberScheduled": wanted, "numberReady": ready}
    return {"metadata": {"generation": 1}, "status": status}


@pytest.fixture
def wait(root: Path, tmp_path: Path) -> Iterator[Run]:
    """Run the script against these answers, of which the last one stays."""
    (tmp_path / "token").write_text("secret")
    servers = []

    def run(answers: list[Answer], seconds: float) -> subprocess.CompletedProcess[str]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                allowed = self.headers["Authorization"] == "Bearer secret"
                code = answer if isinstance(answer, int) else 200 if allowed else 401
                self.send_response(code)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_: Any) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/daemonsets/koordnri-release"
        # As in the Job: the program's text, not its file.
        text = (root / "helm/koordnri/files/wait_for_release.py").read_text()
        command = [sys.executable, "-c", text, url, str(tmp_path), str(seconds)]
        return subprocess.run(command, capture_output=True, text=True)

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "answers",
    [
        [daemon_set(2, 2)],
        [daemon_set(1, 2), daemon_set(2, 2)],
        [{"metadata": {"generation": 1}}, daemon_set(0, 0, seen=0), daemon_set(2, 2)],
        [403, 500, daemon_set(2, 2)],
    ],
    ids=["at once", "later", "its controller was slow", "the right came late"],
)
def test_it_ends_when_all_nodes_have_released(wait: Run, answers: list[Answer]) -> None:
    done = wait(answers, 100)
    assert (done.returncode, done.stdout) == (0, "2 of 2 nodes have released\n")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (daemon_set(1, 2), "1 of 2 nodes have released"),
        (403, "HTTP Error 403"),
        (daemon_set(2, 2, seen=0), "the DaemonSet's controller has not seen it"),
    ],
)
def test_it_fails_with_the_reason_and_what_to_do(wait: Run, answer: Answer, reason: str) -> None:
    done = wait([answer], 0)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "helm uninstall --no-hooks" in done.stderr
