"""Pods that wait, and pods that use more than they request, for `koordnri.control.neighbours`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from koordnri.control.neighbours import WINDOW_S, Neighbours, Report
from koordnri.control.signals import ContainerSignals, Load, PodSignals, Signals
from koordnri.model import CPUSet
from koordnri.model.resources import NOTHING, Resources
from koordnri.policy.controllers import WaitTargets
from tests.support.pods import BESTEFFORT, BURSTABLE, GUARANTEED, pod

MI, GI = 1 << 20, 1 << 30
TARGETS = WaitTargets()
_PARENTS = {"LSE": GUARANTEED, "LSR": GUARANTEED, "LS": BURSTABLE, "BE": BESTEFFORT, "": BURSTABLE, "SYSTEM": BURSTABLE}


def one_pod(
    name: str,
    qos: str = "LS",
    request_milli: int = 0,
    request_bytes: int = 0,
    limit_bytes: int | None = None,
    cpus: str | None = None,
    **load: float,
) -> PodSignals:
    """A pod with one container, all of whose figures are the pod's."""
    figures = Load(**load)
    baseline = NOTHING if limit_bytes is None else Resources(memory_limit=limit_bytes)
    on = None if cpus is None else CPUSet.parse(cpus)
    container = ContainerSignals(f"{name}-main", "main", figures, baseline, cpus=on)
    return PodSignals(pod(qos, _PARENTS[qos], name=name), figures, (container,), request_milli, request_bytes)


def tick(at_s: float, pods: Iterable[PodSignals], stolen: float | None = None, node: float | None = None) -> Signals:
    """The node at one tick of 1 s. `node`: what it used, by default the sum of its pods."""
    by_uid = {one.pod.uid: one for one in pods}
    used = sum(one.load.used_cores or 0.0 for one in by_uid.values()) if node is None else node
    return Signals(at_s, 1.0, CPUSet(range(8)), Load(used_cores=used), 16 * GI, by_uid, stolen_cores=stolen)


def window(
    pods: Sequence[PodSignals],
    stolen: float | None = None,
    node: float | None = None,
    neighbours: Neighbours | None = None,
    from_s: float = 0.0,
    targets: WaitTargets = TARGETS,
) -> Report:
    """What one window shows in which all stays as it is."""
    seen = neighbours or Neighbours()
    for second in range(round(WINDOW_S)):
        report = seen.step(tick(from_s + second, pods, stolen, node), targets)
        if report is not None:
            assert second == WINDOW_S - 1
            return report
    raise AssertionError("the window is not complete")
