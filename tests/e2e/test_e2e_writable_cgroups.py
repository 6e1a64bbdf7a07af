"""The daemon in mounts as the chart's writableCgroups makes them: of all cgroups it can write those of pods only, and that suffices."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.e2e import pods
from tests.e2e.daemon import Daemon
from tests.e2e.kubelet import Kubelet
from tests.e2e.pods import RATIO_2
from tests.support.waiting import eventually

ASKED_US, HALVED_US = 80_000, 40_000


def in_mounts(tops: list[Path], name: str, work: Path) -> list[str]:
    """A program that executes a command where these hierarchies are read-only, but for the cgroup `name` in each."""
    script = ["set -e"]
    for number, top in enumerate(tops):
        kept = work / f"cgroup{number}"
        kept.mkdir(parents=True)
        script += [
            f"mount --bind {top}/{name} {kept}",
            f"mount --bind {top} {top}",
            f"mount -o remount,bind,ro {top}",
            f"mount --bind {kept} {top}/{name}",
        ]
    text = "\n".join([*script, 'exec "$@"'])
    return ["unshare", "--mount", "--propagation=private", "sh", "-c", text, "in_mounts"]


def test_a_policy_reaches_pods_and_exclusive_cpus_are_given(
    kubelet: Kubelet, new_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    container = pods.normalised(kubelet)
    cgroups = kubelet.cgroups
    name = "kubepods.slice" if cgroups.systemd else "kubepods"
    tops = [top for top in cgroups.roots() if (top / name).is_dir()]
    daemon = new_daemon(policy=RATIO_2, under=in_mounts(tops, name, tmp_path / "kept"))
    daemon.start()

    for top in tops:
        seen = f"/proc/{daemon.pid}/root{top}"
        flags = [os.statvfs(path).f_flag & os.ST_RDONLY for path in (seen, f"{seen}/{name}")]
        assert flags == [os.ST_RDONLY, 0]
    eventually(lambda: kubelet.read(container, "cpu.quota") == HALVED_US, "the policy in a running container")
    owner = pods.wants_a_cpu(kubelet)
    assert len(kubelet.runs_on(owner)) == 1
    eventually(lambda: not kubelet.runs_on(container) & kubelet.runs_on(owner), "the other container to leave that CPU")
    daemon.policy_file.write_text("{}\n")
    eventually(lambda: kubelet.read(container, "cpu.quota") == ASKED_US, "what kubelet asked for")
    assert daemon.metric("koordnri_apply_failures_total") == 0
