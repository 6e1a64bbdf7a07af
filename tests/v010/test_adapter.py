"""Events in, programs called: against the embedded runtime, with the programs as real processes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from koordnri.runtime import LATEST, Runtime
from koordnri.runtime.errors import CRIError
from koordnri.session.side_plugin import SidePlugin
from koordnri.v010.adapter import SUBSCRIBED, Adapter
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import Version
from tests.session.subject import Log
from tests.support.messages import container, pod
from tests.v010.programs import Programs

OLD = Version(0, 6, 1)
"""There, most of these events come as StateChange."""


class Subject(NamedTuple):
    """The adapter as a plugin of an embedded runtime."""

    runtime: Runtime
    programs: Programs
    adapter: Adapter
    log: Log


Serve = Callable[..., AbstractContextManager[Subject]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    @contextmanager
    def serving(version: Version = LATEST) -> Iterator[Subject]:
        programs, log = Programs(tmp_path), Log()
        adapter = Adapter(programs.configuration, programs.directory, log)  # type: ignore[arg-type]  # it has what is used
        plugin = SidePlugin("koordnri-v010", "00", SUBSCRIBED, adapter.on_event, log)  # type: ignore[arg-type]
        with Runtime(tmp_path / "nri", version) as runtime:
            thread = threading.Thread(target=plugin.run, args=(str(tmp_path / "nri"),))
            thread.start()
            try:
                runtime.wait_for_plugin()
                yield Subject(runtime, programs, adapter, log)
            finally:
                plugin.stop()
                thread.join(10)
            assert not thread.is_alive()

    return serving


@pytest.mark.parametrize("version", [OLD, LATEST])
def test_a_pods_whole_life(serve: Serve, version: Version) -> None:
    with serve(version) as subject:
        subject.programs.configure()
        runtime = subject.runtime
        runtime.run_pod_sandbox(pod("p1"))
        runtime.create_container("p1", container("c1"))
        runtime.start_container("c1")
        resources = api.LinuxResources()
        resources.cpu.shares.value = 77
        runtime.update_container("c1", resources)
        runtime.stop_container("c1")
        runtime.stop_pod_sandbox("p1")
        runtime.remove_pod_sandbox("p1")
        states = [("create", "p1"), ("create", "c1"), ("update", "c1"), ("delete", "c1"), ("delete", "p1")]
        assert subject.programs.states("shell") == subject.programs.states("python") == states
        update = subject.programs.requests("python")[2]
        assert update["spec"]["resources"]["cpu"]["shares"] == 77
        assert update["results"] == [{"plugin": "shell", "version": "0.1", "error": "", "metadata": {"seen": "yes"}}]
        registry = CollectorRegistry()
        registry.register(subject.adapter)
        counted = 'koordnri_v010_calls_total{outcome="ok",program="python",state="create"} 2.0'
        assert counted in generate_latest(registry).decode()


def test_a_program_that_fails_keeps_the_pod_from_starting(serve: Serve) -> None:
    with serve() as subject:
        subject.programs.configure({"type": "python", "conf": {"refuse": ["create"]}}, {"type": "shell"})
        with pytest.raises(CRIError, match="plugin: python: p1 is not wanted"):
            subject.runtime.run_pod_sandbox(pod("p1"))
        # The first failure ends the row; then the runtime takes back what it has of the sandbox.
        assert subject.programs.states("shell") == [("delete", "p1")]
        assert subject.adapter.counts["python", "create", "failed"] == 1


def test_a_program_that_fails_at_the_end_is_only_logged(serve: Serve) -> None:
    with serve() as subject:
        subject.programs.configure({"type": "python", "conf": {"refuse": ["delete"]}})
        subject.runtime.run_pod_sandbox(pod("p1"))
        subject.runtime.stop_pod_sandbox("p1")
        assert subject.log.wait_for("v010_program_failed")["error"] == "plugin: python: p1 is not wanted"


def test_a_program_that_hangs_is_killed_before_the_runtime_gives_up(serve: Serve) -> None:
    with serve() as subject:
        subject.programs.configure({"type": "python", "conf": {"hang": True}})
        with pytest.raises(CRIError, match="plugin: python: not done in time, killed"):
            subject.runtime.run_pod_sandbox(pod("p1"))
        assert [plugin.full_name for plugin in subject.runtime.plugins] == ["00-koordnri-v010"]


def test_an_unreadable_configuration_keeps_pods_from_starting_and_says_why(serve: Serve) -> None:
    with serve() as subject:
        subject.programs.configuration.write_text("{")
        with pytest.raises(CRIError, match=r"conf\.json: expected"):
            subject.runtime.run_pod_sandbox(pod("p1"))


def test_without_a_configuration_nothing_happens(serve: Serve) -> None:
    with serve() as subject:
        subject.runtime.run_pod_sandbox(pod("p1"))
        assert not subject.adapter.counts
