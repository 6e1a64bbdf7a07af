"""Signals of a node, of which a test states only what matters to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from koordnri.control.signals import ContainerSignals, Load, PodSignals, Signals
from koordnri.model import CPUSet, Pod
from koordnri.model.resources import Resources
from tests.support.pods import pod


def used(cores: float | None) -> Load:
    """A cgroup that used so many CPUs."""
    return Load(used_cores=cores)


def of_pod(one: Pod, cores: float | None = None, *containers: ContainerSignals, request_milli: int = 0) -> PodSignals:
    """A pod that used so many CPUs."""
    return PodSignals(one, used(cores), containers, request_milli)


def service(cores: float | None, name: str = "service", qos: str = "LS") -> PodSignals:
    """A pod that is not best-effort."""
    return of_pod(pod(qos, name=name), cores)


def batch(cores: float | None, name: str = "batch") -> PodSignals:
    """A best-effort pod."""
    return of_pod(pod("BE", name=name), cores)


def container(
    limit_milli: int | None,
    throttled_ratio: float | None = 0.0,
    cores: float | None = None,
    name: str = "main",
) -> ContainerSignals:
    """A container of the id `c-<name>`. kubelet has asked for the quota of its limit."""
    asked_us = None if limit_milli is None else limit_milli * 100
    load = Load(used_cores=cores, throttled_ratio=throttled_ratio)
    return ContainerSignals(f"c-{name}", name, load, Resources(cpu_quota=asked_us), limit_milli)


def signals(
    *pods: PodSignals,
    cpus: int = 20,
    node: float | None = 0.0,
    at_s: float = 0.0,
    host_applications: Mapping[str, float] | None = None,
    online: Iterable[int] | None = None,
    reserved_milli: int = 0,
) -> Signals:
    """What was measured at one tick of 1 s."""
    return Signals(
        at_s,
        1.0,
        CPUSet(range(cpus) if online is None else online),
        used(node),
        64 << 30,
        {p.pod.uid: p for p in pods},
        {name: used(cores) for name, cores in (host_applications or {}).items()},
        reserved_milli=reserved_milli,
    )
