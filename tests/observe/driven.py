"""The real daemon against the embedded runtime, in this process, with hooks that fail on demand."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from koordnri.daemon.config import Config
from koordnri.daemon.daemon import Daemon
from koordnri.daemon.wiring import Given
from koordnri.hook import ContainerContext, Hook
from koordnri.model import AnnotationError, NodeState, fields
from koordnri.runtime import Runtime
from koordnri.wire import api_pb2 as api
from tests.support.waiting import eventually

POLICY = "koordnri-config: {hooks: {com.example.strict: {failurePolicy: fail}}}\n"


class Quota(Hook):
    """Decides a quota, unless the pod's annotation is wrong."""

    name, order, owns = "com.example.quota", 1, (fields.CPU_QUOTA,)

    def decide(self, ctx: ContainerContext) -> None:
        if "wrong" in ctx.pod.annotations:
            raise AnnotationError("wrong", "expected nothing")
        ctx.set(fields.CPU_QUOTA, 12_000, "as an example")


class Buggy(Hook):
    """Fails where the pod says so."""

    name, order, owns = "com.example.buggy", 2, ()

    def decide(self, ctx: ContainerContext) -> None:
        if "buggy" in ctx.pod.annotations:
            raise ZeroDivisionError("by zero")


class Strict(Hook):
    """Fails where the pod says so; POLICY refuses the container then."""

    name, order, owns = "com.example.strict", 3, ()

    def decide(self, ctx: ContainerContext) -> None:
        if "strict" in ctx.pod.annotations:
            raise AnnotationError("strict", "expected nothing")


class Driven:
    """A daemon that is registered with a runtime."""

    def __init__(self, daemon: Daemon, runtime: Runtime, policy: Path, log: TextIO) -> None:
        self.daemon = daemon
        self._log = log
        self.runtime = runtime
        self.policy = policy
        self._containers = self._pods = 0

    def run_pod(self, name: str, *known: str, annotations: dict[str, str] | None = None) -> None:
        """A pod, with annotations that the hooks know, and others."""
        reported = {**dict.fromkeys(known, "yes"), **(annotations or {})}
        self.runtime.run_pod_sandbox(
            api.PodSandbox(id=name, name=name, uid=f"uid-{name}", namespace="shop", annotations=reported)
        )

    def create(self, pod: str) -> str:
        """A container; its id. Raises CRIError."""
        self._containers += 1
        name = f"c{self._containers}"
        self.runtime.create_container(pod, api.Container(id=name, name=f"name-of-{name}", pod_sandbox_id=pod))
        return name

    def settled(self) -> None:
        """All events are counted, with one more pod's: the daemon counts an event after its reply."""
        self._pods += 1
        self.run_pod(f"last-{self._pods}")
        asked = sum(call.event == "RUN_POD_SANDBOX" for call in self.runtime.calls)
        counts = self.daemon.parts.session.stats.events
        eventually(lambda: counts.get(("RunPodSandbox", "ok")) == asked, "all pods to be counted")

    def logged(self, event: str) -> None:
        """Waits until the daemon has logged this event."""
        for line in self._log:
            if json.loads(line)["event"] == event:
                return

    def get(self, path: str) -> str:
        """The body of the answer of the daemon's HTTP port."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.port}{path}", timeout=10) as answer:
            body: bytes = answer.read()
        return body.decode()

    def metrics(self) -> dict[str, Metric]:
        """A scrape, by name of the family."""
        return {family.name: family for family in text_string_to_metric_families(self.get("/metrics"))}

    def value(self, sample: str, **labels: str) -> float:
        """One sample of a scrape. Raises LookupError."""
        found = [s.value for f in self.metrics().values() for s in f.samples if s.name == sample and s.labels == labels]
        if len(found) != 1:
            raise LookupError(f"{sample}{labels}: expected one sample, got {found}")
        return found[0]


@contextlib.contextmanager
def driven(directory: Path) -> Iterator[Driven]:
    """Starts both and waits until the daemon is synchronized; stops both at the end."""
    policy = directory / "policy.yaml"
    policy.write_text(POLICY)
    config = Config(
        nri_socket=str(directory / "nri.sock"),
        policy_file=policy,
        state_dir=directory / "state",
        listen=("127.0.0.1", 0),
    )
    reader, log = os.pipe()
    daemon = Daemon(config, Given(NodeState(name="n"), hooks=[Quota(), Buggy(), Strict()]), log_fd=log)
    thread = threading.Thread(target=daemon.run, name="daemon")
    interval = sys.getswitchinterval()
    with open(reader, encoding="utf-8") as lines, Runtime(directory / "nri.sock") as runtime:
        thread.start()
        try:
            runtime.wait_for_plugin()
            yield Driven(daemon, runtime, policy, lines)
        finally:
            daemon.stop()
            thread.join()
            os.close(log)
            # What `run` sets for the whole process.
            sys.setswitchinterval(interval)
            gc.unfreeze()
