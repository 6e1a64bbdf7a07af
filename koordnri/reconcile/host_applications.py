"""Applications outside of pods (`host-application-config`): where their cgroups are, and what they are decided to have.

A cgroup is never made. One that does not exist (yet) is reported, and looked for again at each sweep. What may not be an application's:
the cgroup of a pod, of all pods, of a QoS class, of the runtime or kubelet, of the whole system; nor one that another application has.
An application that leaves the policy is known by its originals, until they are given back.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from koordnri.chain import Chain, Snapshot
from koordnri.host.cgroup.change import Change
from koordnri.host.cgroup.paths import pod_directory
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Decision, KubeQoS, NodeError, Pod, fields
from koordnri.model.class_cgroup import HostCgroup, OuterCgroup
from koordnri.model.log import Log
from koordnri.model.resources import NOTHING, Resources
from koordnri.reconcile.classes import classes_above, decide_classes
from koordnri.reconcile.originals import as_kubelet_set_it, kubelets_files
from koordnri.state.ledger import Ledger

MISSING = "there is no such cgroup; it is looked for again every 10 s"
_BASES = {
    "Kubepods": KubeQoS.GUARANTEED,
    "KubepodsBurstable": KubeQoS.BURSTABLE,
    "KubepodsBesteffort": KubeQoS.BESTEFFORT,
}
_OF_A_POD = re.compile(r"(?:^|-)pod[0-9a-f][0-9a-f_-]{30,}(?:\.slice)?$")
_CLOSID = fields.RDT_CLOSID.name


class Found(NamedTuple):
    """An application of the policy."""

    number: int
    """its place in the policy's list"""
    qos: str
    """its class, "" without one"""
    cgroup: HostCgroup
    problem: str
    """why it is left alone, "" when it is not"""


def host_applications(pods: Iterable[Pod], snapshot: Snapshot) -> list[Found]:
    """The applications of the policy. `pods`: all of the node."""
    applications = snapshot.policy.host_applications
    if not applications:
        return []
    pods = list(pods)
    above = {c.qos: c.directory for c, _ in classes_above(pods, snapshot.node) if c.qos is not None}
    of_pods = set()
    for pod in pods:
        with contextlib.suppress(NodeError):
            of_pods.add(pod_directory(pod.cgroup_parent))
    found: dict[str, Found] = {}
    for number, application in enumerate(applications):
        base, below = application.place
        directory = "/".join(filter(None, (above[_BASES[base]] if base in _BASES else "", below)))
        problem = application.why_not or _of_others(directory, of_pods, above.values())
        if (other := found.get(directory)) is not None:
            problem = f"application {other.cgroup.application} has this cgroup, too, and comes first"
        key = directory if other is None else f"{directory}\0{number}"
        found[key] = Found(number, application.qos or "", HostCgroup(application.name, directory), problem)
    return list(found.values())


def decide_outside(
    chain: Chain, pods: Iterable[Pod], snapshot: Snapshot, baselines: Callable[[HostCgroup], Resources]
) -> list[tuple[OuterCgroup, Decision]]:
    """Decide every cgroup outside of pods: (cgroup, decision).

    baselines   what a host application's service manager set on its cgroup
    """
    pods = list(pods)
    decided: list[tuple[OuterCgroup, Decision]] = [*decide_classes(chain, pods, snapshot)]
    for number, _, cgroup, problem in host_applications(pods, snapshot):
        if not problem:
            decided.append((cgroup, chain.decide_host(number, baselines(cgroup), snapshot)))
    return decided


def _of_others(directory: str, of_pods: Iterable[str], of_classes: Iterable[str]) -> str:
    """Why a directory cannot be an application's; "" when it can."""
    if any(_OF_A_POD.search(part) for part in directory.split("/")):
        return "it is the cgroup of a pod, or in one"
    if any(f"{directory}/".startswith(f"{pod}/") for pod in of_pods):
        return "it is the cgroup of a pod, or in one"
    if above := next((other for other in (*of_classes, *of_pods) if f"{other}/".startswith(f"{directory}/")), ""):
        return f"it has the cgroup of pods {above}"
    return ""


class HostApplications:
    """Used by the reconcile thread. `found`, `decisions`: the applications at the last pass, and by key what those with a cgroup are to
    have; any thread may read them.
    """

    def __init__(self, chain: Chain, ledger: Ledger, log: Log) -> None:
        self.found: tuple[Found, ...] = ()
        self.decisions: dict[str, Decision] = {}
        self._chain = chain
        self._ledger = ledger
        self._log = log

    def decide(
        self, snapshot: Snapshot, writer: Writer, kubelets: list[Change], groups: dict[str, str]
    ) -> list[tuple[HostCgroup, Decision]]:
        """Decide all applications that have a cgroup, and those that were in the policy before.

        kubelets   gets the files that show what their service managers set
        groups     gets their cgroups, with the resctrl group of their threads
        """
        found = [self._present(one, writer) for one in host_applications(self._ledger.pods(), snapshot)]
        self._report(found)
        decided: list[tuple[HostCgroup, Decision]] = []
        for number, _, cgroup, problem in found:
            if not problem:
                before = self._ledger.originals(cgroup.id)
                files = kubelets_files(cgroup.directory, before, writer)
                baseline = as_kubelet_set_it(NOTHING, before, files)
                decided.append((cgroup, self._chain.decide_host(number, baseline, snapshot)))
                kubelets += files
        self.decisions = {cgroup.id: decision for cgroup, decision in decided}
        decided += self._left(self.decisions.keys(), writer)
        for cgroup, decision in decided:
            self._place_threads(cgroup, decision, groups)
        return decided

    @property
    def missing(self) -> bool:
        """Whether an application has no cgroup (yet)."""
        return any(one.problem == MISSING for one in self.found)

    def ids(self) -> set[str]:
        """Keys of all whose files may have values of ours."""
        here = {one.cgroup.id for one in self.found if not one.problem}
        return here | {owner for owner in self._ledger.owners() if HostCgroup.of_id(owner) is not None}

    def _present(self, one: Found, writer: Writer) -> Found:
        return one if one.problem or writer.has(one.cgroup.directory) else one._replace(problem=MISSING)

    def _left(self, here: Collection[str], writer: Writer) -> list[tuple[HostCgroup, Decision]]:
        """What is no longer an application, or not one that may be decided: nothing is decided for it, so that all is given back."""
        left = []
        for owner in self._ledger.owners():
            cgroup = HostCgroup.of_id(owner)
            if cgroup is None or owner in here:
                continue
            if writer.has(cgroup.directory):
                left.append((cgroup, Decision()))
            else:
                self._ledger.forget_originals(owner)
        return left

    def _place_threads(self, cgroup: HostCgroup, decision: Decision, groups: dict[str, str]) -> None:
        """The resctrl group of its threads. That they were moved is noted among the originals, so that they can be moved back."""
        if fields.RDT_CLOSID in decision.undecided:
            return
        group, moved = decision.value(fields.RDT_CLOSID) or "", _CLOSID in self._ledger.originals(cgroup.id)
        if group or moved:
            groups[cgroup.directory] = group
        if group and not moved:
            self._ledger.wrote(cgroup.id, _CLOSID, "")
        elif moved and not group:
            self._ledger.restored(cgroup.id, _CLOSID)

    def _report(self, found: list[Found]) -> None:
        """Log each new problem once."""
        known = {(one.cgroup, one.problem) for one in self.found}
        self.found = tuple(found)
        for one in found:
            if one.problem and (one.cgroup, one.problem) not in known:
                self._log.warning(
                    "host_application_left_alone",
                    application=one.cgroup.application,
                    cgroup=one.cgroup.directory,
                    error=one.problem,
                )
