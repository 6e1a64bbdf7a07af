"""Memory that is really in use, and what is protected at every level, on real cgroups; and a service outside of pods,
with the files of a network plugin.

What a container holds here is a file in its /dev/shm: nobody can reclaim that, and removing it gives it back at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.e2e import pods
from tests.e2e.cgroups import Limits
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Container, Kubelet, Pod
from tests.e2e.pods import MIB, UNLIMITED
from tests.support.waiting import eventually

NewDaemon = Callable[..., Daemon]
OBSERVED = 'koordnri-config: {"clusterStrategy": {"hooks": {"memory": {"mode": "observe"}}}}\n'
ENFORCED = OBSERVED.replace("observe", "enforce")
HELD = "/dev/shm/held"
HELD_MIB = 40
FILES = ("memory.min", "memory.low", "memory.high", "memory.oom.group")


def batch_pod(kubelet: Kubelet, request_mib: int, limit_mib: int, **asked: object) -> Pod:
    """A BE pod with batch-memory for its container main, and the annotation memoryQOS where something is asked."""
    amounts = {
        kind: {"kubernetes.io/batch-cpu": "500", "kubernetes.io/batch-memory": f"{mib}Mi"}
        for kind, mib in (("requests", request_mib), ("limits", limit_mib))
    }
    annotations = {pods.EXTENDED_RESOURCES: json.dumps({"containers": {"main": amounts}})}
    if asked:
        annotations[pods.MEMORY_QOS] = json.dumps(asked)
    return kubelet.run_pod(qos="BestEffort", labels={pods.QOS_CLASS: "BE"}, annotations=annotations)


def hold(kubelet: Kubelet, container: Container) -> None:
    kubelet.exec(container, "dd", "if=/dev/zero", f"of={HELD}", "bs=1M", f"count={HELD_MIB}")
    assert usage(kubelet, container) > HELD_MIB * MIB


def give_back(kubelet: Kubelet, container: Container) -> None:
    kubelet.exec(container, "dd", "if=/dev/zero", f"of={HELD}", "count=0")  # which empties it


def usage(kubelet: Kubelet, container: Container) -> int:
    name = "memory.current" if kubelet.cgroups.version == 2 else "memory.usage_in_bytes"
    return int(kubelet.file(container, name) or 0)


def refusals(daemon: Daemon, field: str) -> float:
    return daemon.metric("koordnri_apply_failures_total", field=field, route="write", reason="refused")


def test_a_limit_waits_until_less_is_in_use_and_nothing_is_killed(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    daemon = new_daemon(policy=OBSERVED)
    daemon.start()
    container = kubelet.run_container(batch_pod(kubelet, 16, 24))
    assert kubelet.read(container, "memory.limit") == UNLIMITED
    hold(kubelet, container)

    daemon.policy_file.write_text(ENFORCED)
    eventually(lambda: refusals(daemon, "memory.limit") >= 1, "the limit to be found below what is in use")
    # What others' events carry along is no way around it.
    other = kubelet.run_container(batch_pod(kubelet, 16, 24))
    assert kubelet.read(other, "memory.limit") == 24 * MIB
    assert kubelet.read(container, "memory.limit") == UNLIMITED
    assert usage(kubelet, container) > HELD_MIB * MIB
    assert kubelet.running(container)

    give_back(kubelet, container)
    eventually(lambda: kubelet.read(container, "memory.limit") == 24 * MIB, "the limit to be set")
    assert kubelet.running(container)


def test_a_daemon_that_comes_later_kills_nothing_either(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    container = kubelet.run_container(batch_pod(kubelet, 0, 24, throttlingPercent=50))
    hold(kubelet, container)
    daemon = new_daemon()
    daemon.start()
    eventually(lambda: refusals(daemon, "memory.limit") >= 1, "the limit to be found below what is in use")
    eventually(lambda: kubelet.read(container, "cpu.quota") == pods.BATCH_QUOTA_US, "the rest to be set")
    # kubelet's update of another file_value brings the whole decision, but for what waits.
    kubelet.rewrite_cpuset(container, "0-1")
    assert kubelet.read(container, "memory.limit") == UNLIMITED
    assert usage(kubelet, container) > HELD_MIB * MIB
    assert kubelet.running(container)

    give_back(kubelet, container)
    eventually(lambda: kubelet.read(container, "memory.limit") == 24 * MIB, "the limit to be set")
    assert kubelet.running(container)


def test_memory_high_comes_down_with_what_is_in_use(kubelet: Kubelet, new_daemon: NewDaemon) -> None:
    daemon = new_daemon(policy=OBSERVED)
    daemon.start()
    container = kubelet.run_container(batch_pod(kubelet, 0, 96, throttlingPercent=25))
    hold(kubelet, container)
    daemon.policy_file.write_text(ENFORCED)
    eventually(lambda: kubelet.read(container, "memory.limit") == 96 * MIB, "the limit to be set")
    if kubelet.cgroups.version == 1:
        # Nothing there to be set, and nothing that fails.
        assert kubelet.file(container, "memory.high") is None
        assert refusals(daemon, "memory.high") == 0
        return

    eventually(lambda: refusals(daemon, "memory.high") >= 1, "memory.high to be found below what is in use")
    high = int(kubelet.file(container, "memory.high") or 0)
    assert HELD_MIB * MIB < usage(kubelet, container) < high < (HELD_MIB + 16) * MIB
    assert kubelet.running(container)

    give_back(kubelet, container)
    eventually(lambda: kubelet.file(container, "memory.high") == str(24 * MIB), "memory.high to be where it is to be")


def levels(kubelet: Kubelet, container: Container, name: str) -> list[str | None]:
    """A file of the container, of its pod, its class and the root of all pods (of a Guaranteed pod: these are the same)."""
    controller, pid = "" if kubelet.cgroups.version == 2 else "memory", kubelet.pid(container)
    own, pod = kubelet.cgroups.of(pid)[controller], kubelet.cgroups.of_pod(pid)[controller]
    above = [pod, *pod.parents]
    depth = next(i for i, parent in enumerate(above) if parent.name in ("kubepods", "kubepods.slice"))
    return [text(directory / name) for directory in (own, *above[: depth + 1])]


def text(path: Path) -> str | None:
    return path.read_text().strip() if path.exists() else None


SERVICE = f"knhost{os.getpid()}.slice"
TERWAY = Path("/var/lib/terway/qos/global_bps_config")
FOR_SERVICE = f"""\
host-application-config: {{"applications": [
  {{"name": "service", "qos": "BE", "cgroupPath": {{"relativePath": "{SERVICE}"}}}}]}}
system-config: {{"clusterStrategy": {{"totalNetworkBandwidth": "8M"}}}}
resource-qos-config: {{"clusterStrategy": {{"policies": {{"netQOSPolicy": "terway-qos"}}, "beClass": {{
  "cpuQOS": {{"enable": true, "schedIdle": 1}},
  "memoryQOS": {{"enable": true, "lowLimitPercent": 25, "throttlingPercent": 50}}}}}}}}
"""


def test_a_service_outside_of_pods_gets_what_its_class_has_and_gives_it_back(
    kubelet: Kubelet, new_daemon: NewDaemon
) -> None:
    cgroups = kubelet.cgroups
    cgroups.make(f"/{SERVICE}", Limits(shares=1024, memory_bytes=64 * MIB))
    service = subprocess.Popen(["sleep", "infinity"])
    try:
        for root in cgroups.roots():
            if (root / SERVICE).exists():
                (root / SERVICE / "cgroup.procs").write_text(str(service.pid))
        directories = cgroups.of(service.pid)
        names = ("memory.low", "memory.high") if cgroups.version == 2 else ()

        def found() -> list[str]:
            files = [directories["" if cgroups.version == 2 else "cpu"] / "cpu.idle"]
            files += [directories[""] / name for name in names]
            return [file.read_text().strip() for file in files]

        before = found()
        expected = ["1", str(16 * MIB), str(32 * MIB)] if names else ["1"]
        daemon = new_daemon(policy=FOR_SERVICE, arguments=["--write", "terway"])
        daemon.start()
        eventually(lambda: found() == expected, "the service to have what its class has")
        eventually(lambda: TERWAY.exists() and "hw_tx_bps_max 1000000\n" in TERWAY.read_text(), "terway's file")
        daemon.policy_file.write_text("{}\n")
        eventually(lambda: found() == before, "the service to have what it had")
        eventually(lambda: not TERWAY.exists(), "terway's file to be removed")
        assert service.poll() is None
    finally:
        service.kill()
        service.wait()
        cgroups.remove(f"/{SERVICE}")
        for directory in (TERWAY.parent, TERWAY.parent.parent):
            with contextlib.suppress(OSError):  # it was there before, or somebody else's
                directory.rmdir()


# The daemon of the whole file comes from here on; one more beside it would wait for its end.


def test_container_pod_class_and_root_are_protected_by_the_sum_of_what_is_below(
    kubelet: Kubelet, daemon: Daemon
) -> None:
    asked = {"minLimitPercent": 50, "lowLimitPercent": 75}
    first_pod = batch_pod(kubelet, 64, 96, **asked)
    first = kubelet.run_container(first_pod)
    second = kubelet.run_container(batch_pod(kubelet, 32, 96, **asked))
    fixed_pod = kubelet.run_pod(
        qos="Guaranteed", annotations={pods.MEMORY_QOS: json.dumps({"minLimitPercent": 25})}, memory_limit=32 * MIB
    )
    fixed = kubelet.run_container(fixed_pod, memory_limit=32 * MIB)
    if kubelet.cgroups.version == 1:
        for container in (first, second, fixed):
            pods_and_above = [levels(kubelet, container, name) for name in FILES]
            assert {value for values in pods_and_above for value in values} == {None}
        assert all(daemon.metric("koordnri_apply_failures_total", field=f, route="write", reason=r) == 0
                   for f in FILES for r in ("refused", "unsupported"))  # fmt: skip
        assert kubelet.read(first, "memory.limit") == 96 * MIB
        return

    def mib(container: Container, name: str) -> list[int]:
        return [int(value or 0) // MIB for value in levels(kubelet, container, name)]

    eventually(lambda: mib(first, "memory.min") == [32, 32, 48, 56], "memory.min of the first")
    assert mib(first, "memory.low") == [48, 48, 72, 72]
    assert mib(second, "memory.min") == [16, 16, 48, 56]
    assert mib(fixed, "memory.min") == [8, 8, 56]
    # Only that is set which is asked for: what kubelet asked of the runtime stays.
    assert levels(kubelet, first, "memory.oom.group")[:2] == ["1", "0"]
    assert levels(kubelet, first, "memory.high") == ["max"] * 4

    kubelet.end_pod(first_pod)
    eventually(lambda: mib(second, "memory.min") == [16, 16, 16, 24], "the class and the root to have less")
