"""The part of a pass for cache and memory bandwidth: groups before anything is decided, threads after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from koordnri.model import NodeState, Pod
from koordnri.model.log import Log
from koordnri.policy import Policy
from koordnri.resctrl.groups import ResctrlGroups
from koordnri.resctrl.monitors import ResctrlMonitors
from koordnri.resctrl.plan import plan
from koordnri.resctrl.threads import ResctrlThreads
from koordnri.state.world import World

WarnPod = Callable[[Pod, str, str], None]
"""pod, reason (one CamelCase word), message"""


class CacheShares:
    """Used by the reconcile thread.

    complete   whether the runtime has reported all pods; before, no group counts as that of a vanished pod
    retake     called when the set of groups that could not be made has changed, since decisions depend on it
    """

    def __init__(
        self,
        groups: ResctrlGroups,
        threads: ResctrlThreads,
        monitors: ResctrlMonitors,
        complete: Callable[[], bool],
        retake: Callable[[], None],
        log: Log,
        warn_pod: WarnPod,
    ) -> None:
        self._groups = groups
        self._threads = threads
        self._monitors = monitors
        self._complete = complete
        self._retake = retake
        self._log = log
        self._warn_pod = warn_pod
        self._errors: frozenset[str] = frozenset()
        self._logged = ""
        """why no group can be made and no thread moved, as logged last"""

    def groups(self, pods: Iterable[Pod], world: Callable[[], World]) -> None:
        """Make, correct and remove groups. `pods`: all of the node."""
        policy, node = world().snapshot
        read_only = self._groups.read_only()
        self._report_read_only(read_only, pods, policy, node)
        if read_only:
            return  # a group that no thread can be put into is of no use
        refused = self._groups.refused
        for group, what, error, pod in self._groups.reconcile(pods, policy, node, complete=self._complete()):
            if what == "note" or not error:
                self._log.info("resctrl_group", group=group, what=what, note=error)
                continue
            self._log.warning("resctrl_refused", group=group, what=what, error=error)
            if pod is not None:
                self._warn_pod(pod, "QoSNotApplied", f"resctrl group {group}: {error}")
        if self._groups.refused != refused:
            self._retake()

    def _report_read_only(self, read_only: str, pods: Iterable[Pod], policy: Policy, node: NodeState) -> None:
        """Report it once per reason, and only if somebody wants a group."""
        if node.resctrl is None:
            return
        if node.resctrl.read_only != read_only:
            self._retake()
        if read_only and read_only != self._logged and plan(pods, policy, node).groups:
            self._logged = read_only
            self._log.warning("resctrl_read_only", error=read_only)

    def threads(self, places: Mapping[str, str], cgroup_version: int, *, sweep: bool) -> None:
        """Move the threads of containers (cgroup → group) into their groups."""
        if self._groups.read_only():
            return
        settled = self._threads.settle(places, cgroup_version)
        for error in set(settled.errors) - self._errors:
            self._log.warning("resctrl_threads", error=error)
        self._errors = frozenset(settled.errors)
        if sweep:
            self._monitors.read()
