"""Reports that the runtime throws away what we answer for: the one sign of another plugin that sets the same values, or bears our name.

NRI does not say which plugins there are, nor why a creation failed. But where two plugins set one value, the runtime refuses each container
that both adjust and removes it, and kubelet tries again every few seconds. So no container starts in between.
"""

from __future__ import annotations

from collections.abc import Callable

from koordnri.daemon.events import Events
from koordnri.model.log import Log

MANY = 3
"""containers in a row. A pod that is deleted while it is created, or an image that cannot run, costs one or two."""
NEVER_START = "ContainersNeverStart"
"""reason of the Event"""


class Unstarted:
    """`look` is for the main thread; any thread may read `problem`.

    count   returns how many containers in a row were removed before they started
    """

    def __init__(self, count: Callable[[], int], events: Events, log: Log) -> None:
        self._count = count
        self._events = events
        self._log = log
        self._reported = False

    @property
    def problem(self) -> str:
        """What is wrong, and what to do; "" as long as containers start."""
        count = self._count()
        if count < MANY:
            return ""
        return (
            f"the last {count} containers were removed after koordnri's answer and before they started: the runtime's log says why. "
            "Where it names a conflict of plugins, another one sets the same values, or a second koordnri is registered; stop it"
        )

    def look(self) -> None:
        """Report once, and again after containers have started in between."""
        problem = self.problem
        if problem and not self._reported:
            self._log.warning("containers_never_start", problem=problem)
            self._events.warn_node(NEVER_START, problem)
        self._reported = bool(problem)
