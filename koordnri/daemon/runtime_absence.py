"""Reports to the Node that the runtime cannot be reached, with the setting that switches NRI on."""

from __future__ import annotations

from koordnri.daemon.config import Config
from koordnri.daemon.events import Events
from koordnri.model.log import Log
from koordnri.state.containment import Faults

NOT_THERE = "RuntimeNotThere"
"""reason of the Event"""


class RuntimeAbsence:
    """`report` is for the thread `nri`, which has nothing else to do then."""

    def __init__(self, config: Config, events: Events, faults: Faults, log: Log) -> None:
        self._config = config
        self._events = events
        self._faults = faults
        self._log = log

    def report(self, problem: str) -> None:
        """The runtime has not been there for a while. `problem`: why it cannot be reached."""
        what_to_do = ""
        with self._faults.within("node"):
            what_to_do = self._what_to_do()
        self._log.warning("runtime_still_not_there", error=problem, fix=what_to_do)
        self._events.warn_node(
            NOT_THERE, f"containers start without koordnri, which {problem}" + (f": {what_to_do}" if what_to_do else "")
        )

    def _what_to_do(self) -> str:
        """Cause and fix of the worst finding of `koordnri doctor` about the runtime; "" when it finds nothing."""
        # Imported here, since the doctor's tables are not needed on a node that is well.
        from koordnri.doctor.checks import runtime
        from koordnri.doctor.codes import Severity
        from koordnri.doctor.facts import DaemonFacts
        from koordnri.doctor.reading import read_facts

        config = self._config
        facts = read_facts(config.host_root, config.nri_socket, config.identity.name, config.state_dir, DaemonFacts())
        found = [finding for finding in runtime.check(facts) if finding.severity is not Severity.INFO]
        if not found:
            return ""
        worst = min(found, key=lambda finding: finding.severity is not Severity.ERROR)
        return f"{worst.cause}. {worst.code}: {worst.fix}"
