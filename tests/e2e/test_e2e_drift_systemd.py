"""What systemd writes into slices from its own view is undone, at the first unit after a daemon-reload and at every set-property."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Kubelet
from tests.e2e.pods import UNLIMITED
from tests.support.waiting import eventually

NewDaemon = Callable[..., Daemon]
LSR_MIN = (
    'resource-qos-config: {"clusterStrategy": {"lsrClass": {"memoryQOS": {"enable": true, "minLimitPercent": 50}}}}\n'
)
"""A policy that protects half of what LSR containers request, and with it the classes above them."""


def test_what_systemd_makes_of_a_daemon_reload_and_the_next_unit_is_undone(
    kubelet: Kubelet, new_daemon: NewDaemon
) -> None:
    daemon = new_daemon(policy=LSR_MIN)
    daemon.start()
    pod, container = pods.owner(kubelet)
    slice_name = pod.cgroup.rpartition("/")[2]
    quota = {"": kubelet.cgroups.of_container(kubelet.pid(container))[""].parent}
    kubepods = {"": quota[""].parent}
    eventually(lambda: kubelet.cgroups.read(quota, "cpu.quota") == UNLIMITED, "the pod's quota to be lifted")
    protection = 0

    def protects() -> bool:
        nonlocal protection
        protection = int(kubelet.cgroups.read(kubepods, "memory.min"))
        return protection > 0

    eventually(protects, "kubepods to be protected")
    healed = daemon.metric("koordnri_drift_healed_total", by="systemd")
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    subprocess.run(["systemd-run", "--quiet", "--slice", slice_name, "--unit", f"t{os.getpid()}", "true"], check=True)
    eventually(lambda: daemon.metric("koordnri_drift_healed_total", by="systemd") > healed, "systemd's values undone")
    eventually(lambda: kubelet.cgroups.read(quota, "cpu.quota") == UNLIMITED, "the pod's quota to be lifted again")
    eventually(lambda: kubelet.cgroups.read(kubepods, "memory.min") == protection, "kubepods to be protected again")
    for unit, value in ((kubepods[""].name, "CPUWeight=500"), (slice_name, "CPUWeight=77")):
        subprocess.run(["systemctl", "set-property", "--runtime", unit, value], check=True)
    eventually(lambda: kubelet.cgroups.read(quota, "cpu.quota") == UNLIMITED, "the pod's quota after set-property")
    eventually(lambda: kubelet.cgroups.read(kubepods, "memory.min") == protection, "the protection after set-property")
