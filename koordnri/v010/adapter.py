"""From an event of the runtime to calls of the programs.

As upstream's adapter does: `create` when a sandbox runs and before a container's first process starts, `delete` when one of them has
stopped. `update`, which nobody sent before, follows a container's update. NRI has no events for `pause` and `resume`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from koordnri.model.log import Log
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.session.side_plugin import Refusal
from koordnri.v010 import process
from koordnri.v010.call import Call, ProgramError, Result, answered
from koordnri.v010.configuration import Configuration, ConfigurationError, Program, read
from koordnri.wire import api_pb2 as api
from koordnri.wire.events import NRIEvent

SUBSCRIBED = (
    NRIEvent.RUN_POD_SANDBOX,
    NRIEvent.STOP_POD_SANDBOX,
    NRIEvent.START_CONTAINER,
    NRIEvent.UPDATE_CONTAINER,
    NRIEvent.POST_UPDATE_CONTAINER,
    NRIEvent.STOP_CONTAINER,
    NRIEvent.REMOVE_CONTAINER,
)

Run = Callable[[Path, bytes, float], tuple[bytes, int]]


class Adapter(Collector):
    """Used by one thread.

    configuration   conf.json; read again for each event, as upstream does
    programs        the directory with the programs
    """

    def __init__(
        self,
        configuration: Path,
        programs: Path,
        log: Log,
        run: Run = process.run,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()
        """(program, state, outcome) → calls; outcome: ok or failed"""
        self._configuration = configuration
        self._programs = programs
        self._log = log
        self._run = run
        self._monotonic = monotonic
        self._updates: dict[str, api.LinuxResources] = {}
        """container id → resources of an update that the runtime is about to make"""

    def on_event(self, event: NRIEvent, message: Any, runtime: RuntimeInfo) -> None:
        """An event of the runtime, which waits: all programs together may take half of its patience.

        message   a StateChangeEvent, or the event's own request: they have the same fields

        Raises Refusal: a program failed at a `create`, so the pod or container must not start.
        """
        most_s = runtime.request_timeout_s / 2
        if event is NRIEvent.RUN_POD_SANDBOX:
            self._create(Call.of_pod("create", message.pod), most_s)
        elif event is NRIEvent.START_CONTAINER:
            self._create(Call.of_container("create", message.pod, message.container), most_s)
        elif event is NRIEvent.STOP_POD_SANDBOX:
            self._call(Call.of_pod("delete", message.pod), most_s)
        elif event is NRIEvent.STOP_CONTAINER:
            self._call(Call.of_container("delete", message.pod, message.container), most_s)
        elif event is NRIEvent.UPDATE_CONTAINER:  # the programs are called when the runtime has made the update
            self._updates[message.container.id] = message.linux_resources
        elif event is NRIEvent.POST_UPDATE_CONTAINER:
            changed = self._updates.pop(message.container.id, None)
            self._call(Call.of_container("update", message.pod, message.container, changed), most_s)
        elif event is NRIEvent.REMOVE_CONTAINER:
            self._updates.pop(message.container.id, None)

    def collect(self) -> Iterable[Metric]:
        """Counts for Prometheus; see prometheus_client.registry.Collector."""
        labels = ("program", "state", "outcome")
        calls = CounterMetricFamily("koordnri_v010_calls", "calls of programs for NRI v0.1", labels=labels)
        for key, count in self.counts.copy().items():
            calls.add_metric(key, count)
        yield calls

    def _create(self, call: Call, most_s: float) -> None:
        if failure := self._call(call, most_s):
            raise Refusal(failure)

    def _call(self, call: Call, most_s: float) -> str:
        """Call all programs in order, until one fails. Returns why it failed; "" when none did."""
        until_s = self._monotonic() + most_s
        try:
            wanted = read(self._configuration)
        except ConfigurationError as error:
            return self._failed(call, "", str(error))
        results: list[Result] = []
        for program in wanted.plugins:
            try:
                results.append(self._result(program, wanted, call, results, until_s))
            except ProgramError as error:
                self.counts[program.type, call.state, "failed"] += 1
                return self._failed(call, program.type, f"plugin: {program.type}: {error}")
            self.counts[program.type, call.state, "ok"] += 1
        return ""

    def _result(
        self, program: Program, wanted: Configuration, call: Call, before: list[Result], until_s: float
    ) -> Result:
        path = self._programs / program.type
        output, code = self._run(path, call.request(program, wanted.version, before), until_s)
        return answered(output, code)

    def _failed(self, call: Call, program: str, error: str) -> str:
        ids = {"id": call.id, "sandbox": call.sandbox_id}
        self._log.warning("v010_program_failed", program=program, state=call.state, error=error, **ids)
        return error
