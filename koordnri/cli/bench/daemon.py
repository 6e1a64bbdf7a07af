"""The daemon that `bench` measures: the real one, in a separate process, registered with an embedded runtime."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from koordnri.cli.bench.figures import BenchError
from koordnri.cli.bench.host import write_cgroups, write_host
from koordnri.cli.bench.load import KINDS, Kind, make_container, make_pod
from koordnri.cli.bench.policy import Policy, write_policy
from koordnri.cli.bench.process import TIMEOUT_S, DaemonProcess
from koordnri.runtime import Runtime
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import Version

QUIET_S = 0.35
"""Longer than a changed policy stays unnoticed: 0.1 s until it is read, 0.1 s in which further changes are collected."""
QUIET_CPU_S = 0.01
_IN_MEMORY = "/dev/shm"  # noqa: S108  # a directory of our own is made in it
_ROOM_BYTES = 256 << 20


def cpu_s(pid: int) -> float:
    """User and system time of a process so far, to the nanosecond (clock_getcpuclockid(3) says how the clock is named)."""
    return time.clock_gettime((~pid << 3) | 2)


class BenchedDaemon(DaemonProcess):
    """A daemon beside a number of running containers. Made by `started`."""

    def __init__(self, runtime: Runtime, directory: Path, host: Path) -> None:
        self.runtime = runtime
        self.host = host
        """its --host-root"""
        self.registered_s = 0.0
        """s from the start of the process until it answered Configure"""
        self.synchronized_s = 0.0
        """… and Synchronize"""
        self._started = time.perf_counter()
        super().__init__(directory, directory / "nri.sock", host)

    def wait(self) -> None:
        """Wait until it is registered. Raises BenchError."""
        try:
            peer = self.runtime.wait_for_plugin(TIMEOUT_S)
        except TimeoutError as error:
            raise BenchError(f"{error}\n{self.tail()}") from None
        self.registered_s = peer.configured_at_s - self._started
        self.synchronized_s = peer.synchronized_at_s - self._started

    def cpu_s(self) -> float:
        """User and system time of all its threads so far, in seconds."""
        return cpu_s(self._popen.pid)

    def rss_bytes(self) -> int:
        """Resident memory."""
        return psutil.Process(self._popen.pid).memory_info().rss

    @property
    def records(self) -> bool:
        """Whether it records by itself, and not only with replies to later events."""
        return self.metrics().label("koordnri_record_route_info", "route") in ("unsolicited", "resync")

    def follow(self, policy: Policy) -> None:
        """Write its policy file, and wait until it is idle again. Raises BenchError."""
        self.take(policy)
        self.settle()

    def settle(self) -> None:
        """Wait until it is idle: it uses almost no CPU, and nothing waits to be recorded. Raises BenchError."""

        def rests() -> bool:
            # Not read from the metrics: they show a pass only when it ends, and a scrape costs more than an idle daemon uses.
            before_s = self.cpu_s()
            time.sleep(QUIET_S)
            if self.cpu_s() - before_s > QUIET_CPU_S:
                return False
            return not self.records or self.metrics().total("koordnri_unrecorded_containers") == 0

        self.wait_until(rests, 0.0, "the daemon to come to rest")


def running(containers: int) -> Iterator[tuple[Kind, api.PodSandbox, list[api.Container]]]:
    """Pods of all kinds in turn with `containers` in all, two per pod."""
    for i in range((containers + 1) // 2):
        kind = KINDS[i % len(KINDS)]
        pod = make_pod(kind, i)
        yield kind, pod, [make_container(pod, kind, n) for n in range(2 * i, min(2 * i + 2, containers))]


@contextmanager
def started(containers: int, version: Version, policy: Policy, cgroups: int) -> Iterator[BenchedDaemon]:
    """A daemon beside `containers` running ones, two per pod. The runtime imitates NRI `version`.

    cgroups   version of the cgroups that the containers have; 0: they have none, on a node with v2

    Raises BenchError.
    """
    with tempfile.TemporaryDirectory(prefix="koordnri-bench-") as name, _in_memory() as host:
        directory = Path(name)
        write_host(host, cgroups or 2)
        write_policy(directory / "policy.json", policy)
        runtime = Runtime(directory / "nri.sock", version)
        for _, pod, made in running(containers):
            if cgroups:
                write_cgroups(host, pod, made, cgroups)
            runtime.preload([pod], made)
        with runtime:
            daemon = BenchedDaemon(runtime, directory, host)
            try:
                daemon.wait()
                yield daemon
            finally:
                daemon.stop()


@contextmanager
def _in_memory() -> Iterator[Path]:
    """A directory for files that stand for /sys and /proc. In memory if there is room."""
    try:
        there = os.statvfs(_IN_MEMORY)
        fits = os.access(_IN_MEMORY, os.W_OK) and there.f_bavail * there.f_frsize > _ROOM_BYTES
    except OSError:
        fits = False
    with tempfile.TemporaryDirectory(prefix="koordnri-bench-", dir=_IN_MEMORY if fits else None) as name:
        yield Path(name)
