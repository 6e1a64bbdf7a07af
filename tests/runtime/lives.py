"""Whole lives of pods before scripted plugins."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from koordnri.runtime import LATEST, Runtime
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import Version
from tests.runtime.scripted_plugin import ALL_OLD, ScriptedPlugin, adjusting, quota
from tests.support.messages import container, pod

OLD = Version(0, 8, 0)
ENV = adjusting(env=[api.KeyValue(key="A", value="1")])


@contextmanager
def connected(
    path: Path,
    *scripts: dict[str, Any],
    version: Version = LATEST,
    name: str = "containerd",
    events: int = ALL_OLD,
    timeout_s: float = 10.0,
) -> Iterator[tuple[Runtime, list[ScriptedPlugin]]]:
    """A runtime with a plugin per script, at the indices 00, 01 …; what they have seen so far is passed over."""
    with Runtime(path / "nri", version, name, request_timeout_s=timeout_s) as runtime, ExitStack() as stack:
        plugins = []
        for i, script in enumerate(scripts):
            plugin = ScriptedPlugin(path / "nri", f"p{i}", f"{i:02}", events, script)
            plugins.append(stack.enter_context(plugin))
            runtime.wait_for_plugin(nth=i + 1)
            plugin.expect("Synchronize")
        yield runtime, plugins


def whole_life(runtime: Runtime) -> None:
    runtime.run_pod_sandbox(pod())
    runtime.create_container("p1", container())
    runtime.start_container("c1")
    runtime.update_container("c1", quota(50000))
    runtime.update_pod_sandbox("p1", quota(60000))
    runtime.stop_container("c1")
    runtime.remove_container("c1")
    runtime.stop_pod_sandbox("p1")
    runtime.remove_pod_sandbox("p1")


LIFE = [
    "RunPodSandbox",
    "CreateContainer",
    "PostCreateContainer",
    "StartContainer",
    "PostStartContainer",
    "UpdateContainer",
    "PostUpdateContainer",
    "UpdatePodSandbox",
    "PostUpdatePodSandbox",
    "StopContainer",
    "RemoveContainer",
    "StopPodSandbox",
    "RemovePodSandbox",
]
DIRECT = {"CreateContainer", "UpdateContainer", "StopContainer", "UpdatePodSandbox"}
SINCE_0_10 = {"UpdatePodSandbox", "PostUpdatePodSandbox"}


def unasked(*updates: api.ContainerUpdate) -> api.UpdateContainersRequest:
    return api.UpdateContainersRequest(update=updates)
