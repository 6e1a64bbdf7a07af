"""A pod's volume by the pod's own name of it: its spec, from the API server, and what the runtime reports of a container say which.

The API server is a fake one that knows one pod; what it has to do with real ones is tried elsewhere.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Kubelet, Pod
from tests.e2e.test_e2e_blkio import NOTHING, READ, WRITE, annotation, block, limits
from tests.e2e.volumes import Volumes
from tests.support.waiting import eventually

pytestmark = pytest.mark.full

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{{name: here, context: {{cluster: fake, user: me}}}}]
clusters: [{{name: fake, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: me, user: {{token: none}}}}]
"""
NODE = "lab"
"""as Daemon calls it"""
FIRST = 10
"""Version of the list before anything is reported."""
LIMITED = annotation(block("data", "podvolume", readBPS=READ, writeBPS=WRITE))
MORE = annotation(block("data", "podvolume", readBPS=READ, writeBPS=WRITE + 1))


KINDS = {"pods": "PodList", "nodes": "NodeList"}
"""What the API has, and what it calls the lists."""


class FakeApi:
    """Lists and watches of pods, by `report`; there is no node, and no other kind."""

    def __init__(self) -> None:
        self._reported: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._closed = False
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                noun = url.path.rpartition("/")[2]
                # A daemon waits ten seconds for watches that have not answered before it registers.
                self.send_response(200 if noun in KINDS else 404)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                if noun in KINDS:
                    fake._answer(noun, parse_qs(url.query), self._line)
                else:
                    self._line({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404})

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(201)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self._line({})

            def _line(self, item: dict[str, Any]) -> None:
                self.wfile.write(json.dumps(item).encode() + b"\n")
                self.wfile.flush()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def send(self, pod: Pod, annotations: dict[str, str], spec: dict[str, Any]) -> None:
        """The pod as it is now."""
        with self._news:
            version = str(FIRST + len(self._reported) + 1)
            metadata = {"uid": pod.uid, "namespace": pod.namespace, "name": pod.name, "resourceVersion": version}
            metadata |= {"labels": pod.config["labels"], "annotations": annotations}
            item = {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {"nodeName": NODE, **spec}}
            self._reported.append({**item, "status": {"phase": "Running"}})
            self._news.notify_all()

    def close(self) -> None:
        with self._news:
            self._closed = True
            self._news.notify_all()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, noun: str, query: dict[str, list[str]], line: Callable[[dict[str, Any]], None]) -> None:
        with self._news:
            reported = self._reported if noun == "pods" else []
            if "watch" not in query:
                metadata = {"resourceVersion": str(FIRST + len(reported))}
                line({"kind": KINDS[noun], "metadata": metadata, "items": reported[-1:]})
                return
            seen = int(query["resourceVersion"][0]) - FIRST
            while not self._closed:
                for item in reported[seen:]:
                    line({"type": "MODIFIED", "object": item})
                seen = len(reported)
                self._news.wait()


@pytest.fixture
def cluster() -> Iterator[FakeApi]:
    """Knows no pod yet."""
    fake = FakeApi()
    try:
        yield fake
    finally:
        fake.close()


@pytest.fixture
def following(new_daemon: Callable[..., Daemon], cluster: FakeApi, tmp_path: Path) -> Daemon:
    """A daemon that watches that API server, ready."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG.format(port=cluster.port))
    daemon = new_daemon(arguments=["--kubeconfig", str(kubeconfig)])
    daemon.start()
    return daemon


@pytest.fixture
def volumes(tmp_path: Path) -> Iterator[Volumes]:
    """Those of one test."""
    own = Volumes(tmp_path)
    try:
        yield own
    finally:
        own.unmount()


@pytest.mark.parametrize("raw", [False, True], ids=["mounted", "raw"])
def test_a_limit_holds_for_the_volume_that_the_pod_calls_so_and_outlives_our_restart(
    kubelet: Kubelet, following: Daemon, cluster: FakeApi, volumes: Volumes, raw: bool
) -> None:
    pod = kubelet.run_pod(labels={pods.QOS_CLASS: "LS"}, annotations=LIMITED)
    main = {"name": "main", "volumeMounts": [{"name": "data", "mountPath": "/data/"}]}
    if raw:
        main = {"name": "main", "volumeDevices": [{"name": "data", "devicePath": "/data"}]}
    spec = {"containers": [main], "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-web-0"}}]}
    cluster.send(pod, LIMITED, spec)
    if raw:
        volume = volumes.raw(pod.uid, "pvc-1")
        container = kubelet.run_container(pod, devices={"/data": volume.path})
    else:
        volume = volumes.mounted(pod.uid, "pvc-1")
        container = kubelet.run_container(pod, mounts={"/data": volume.path})

    eventually(lambda: limits(kubelet, container, 1, volume.number) == (str(READ), str(WRITE)), "the pod's limits")
    following.kill()
    cluster.send(pod, MORE, spec)
    following.start()
    eventually(lambda: limits(kubelet, container, 1, volume.number) == (str(READ), str(WRITE + 1)), "the new limits")
    cluster.send(pod, {}, spec)
    eventually(lambda: limits(kubelet, container, 1, volume.number) == NOTHING, "the limits to go with the annotation")
