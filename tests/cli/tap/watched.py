"""An embedded runtime that taps look at, and what it does meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from koordnri.cli.tap.tap import Seen, Tap, TapEnded
from koordnri.cli.tap.taps import seen_by
from koordnri.runtime import Runtime
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import NEWEST, Version
from tests.runtime.scripted_plugin import ScriptedPlugin
from tests.support.messages import container, pod

ADJUST = api.ContainerAdjustment(
    annotations={"a": "new"}, env=[{"key": "COLOUR", "value": "green"}], linux={"resources": {"cpu": {"cpus": "2-3"}}}
)


def started() -> api.Container:
    """The container of the story."""
    made = container(env=["PATH=/bin"], annotations={"a": "old"}, args=["sh"])
    made.linux.resources.cpu.cpus = "0-3"
    return made


def story(runtime: Runtime) -> None:
    """A pod with one container, created, started and removed."""
    runtime.run_pod_sandbox(pod())
    runtime.create_container("p1", started())
    runtime.start_container("c1")
    runtime.stop_container("c1")


def watched(
    directory: Path,
    taps: int,
    watch: Callable[[str], None],
    nri: Version = NEWEST,
    adjusts: api.ContainerAdjustment = ADJUST,
) -> None:
    """Call `watch` with the socket of a runtime with a plugin at 50 that adjusts. Once so many taps are there the story happens, and the
    runtime ends, which ends `watch`.
    """
    answers = {"CreateContainer": api.CreateContainerResponse(adjust=adjusts)}
    path = directory / "nri.sock"
    with Runtime(path, nri_version=nri) as runtime, ScriptedPlugin(path, index="50", answers=answers):
        runtime.wait_for_plugin()

        def live() -> None:
            runtime.wait_for_plugin(nth=1 + taps)
            story(runtime)
            runtime.close()

        thread = threading.Thread(target=live)
        thread.start()
        try:
            watch(str(path))
        finally:
            thread.join()


def look(taps: Sequence[Tap]) -> list[Seen]:
    """What the taps see until the runtime ends."""
    found: list[Seen] = []
    try:
        for seen in seen_by(taps):
            found.append(seen)  # noqa: PERF402  # what was seen before the end counts
    except TapEnded as end:
        assert "the connection" in str(end)  # noqa: PT017
    return found
