"""In the mounts and with no other powers than the DaemonSet gives, the daemon's host room reads what it needs and writes cgroups.

A mount namespace made of the manifest's own volumes, on this machine's /sys and /proc; not a container, but the same kernel rules.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from koordnri.host.cgroups import read_version
from koordnri.host.files import HostFiles
from koordnri.host.landlock import LEAST_VERSION, landlock_version

Manifest = dict[str, Any]
CGROUPS = Path("/sys/fs/cgroup")
CAP_DAC_OVERRIDE = 1
"""bit, see capabilities(7)"""
RESCTRL = Path("/sys/fs/resctrl")
"""Not there on most machines; nobody can make it, so that a file system of ours then stands below sysfs."""

CONFINED = """
import errno, json, os, sys
from pathlib import Path
from koordnri.daemon.config import Config
from koordnri.daemon.confinement import confine
from koordnri.doctor.diagnose import diagnose
from koordnri.doctor.facts import DaemonFacts
from koordnri.doctor.reading import read_facts
from koordnri.host import read_node
from koordnri.host.cgroup.change import Change
from koordnri.host.resctrl_groups import ResctrlRefused, ResctrlTree
from koordnri.host.cgroup.writer import Writer
from koordnri.model import fields

root, host_root, cgroup, mounts, sealed = sys.argv[1:]
status = dict(line.split(":", 1) for line in open("/proc/self/status"))

def attempt(make, *args):
    try:
        make(*args)
    except (OSError, ResctrlRefused) as error:
        return errno.errorcode[getattr(error, "number", None) or error.errno]
    return "made"

sealed = attempt(os.mkdir, sealed + "/made")
state = Path(root + "/var/lib/koordnri")
landlock = confine(Config(host_root=Path(root + host_root), state_dir=state))
node = read_node(Path(root + host_root), "node-1")
(outcome,) = Writer(Path(root + host_root), node.cgroup_version).apply([[Change(cgroup, fields.CPU_SHARES, "", 777)]])
print(json.dumps({
    "capabilities": [int(status[set_], 16) for set_ in ("CapEff", "CapBnd")],
    "version": node.cgroup_version,
    "topology": node.topology is not None,
    "memory": node.memory_bytes,
    "kubelet": node.kubelet_cpu_policy,
    "problems": node.problems,
    "write": [outcome.status.value, outcome.after, outcome.error],
    "sealed": sealed,
    "landlock": landlock,
    "state": attempt(Path(state, "notes.json").write_text, "{}"),
    "elsewhere": attempt(Path(root, "file").write_text, "x"),
    "group": attempt(ResctrlTree(Path(root + host_root)).make, "made"),
    "findings": [
        [finding.code, finding.object, finding.cause]
        for finding in diagnose(
            read_facts(Path(root + host_root), root + "/var/run/nri/nri.sock", "koordnri", Path(root, "var/lib/koordnri"), DaemonFacts())
        )
    ],
    "shares_pids": ResctrlTree(Path(root + host_root)).shares_pids(),
    "writable": [path for path in json.loads(mounts) if not os.statvfs(root + path).f_flag & os.ST_RDONLY],
}))
"""


@pytest.fixture
def cgroup() -> Iterator[str]:
    """A cgroup of this machine, with a weight to be set."""
    if os.geteuid() != 0:
        pytest.skip("not root: neither cgroups nor mounts can be made")
    version = read_version(HostFiles(Path("/")))
    if version is None:
        pytest.skip("this machine has no cgroups")
    path = CGROUPS / ("cpu" if version == 1 else "") / f"koordnri-test-{uuid.uuid4().hex[:8]}"
    path.mkdir()
    yield path.name
    path.rmdir()


@pytest.fixture
def answer(request: pytest.FixtureRequest, cgroup: str, tmp_path: Path) -> dict[str, Any]:
    """What CONFINED says, by the objects of the fixture that is named."""
    spec = request.getfixturevalue(request.param)["DaemonSet"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    security = container["securityContext"]
    assert (security["capabilities"]["drop"], security["allowPrivilegeEscalation"]) == (["ALL"], False)
    added = [name.lower() for name in security["capabilities"].get("add", ())]
    (host_root,) = [v["value"] for v in container["env"] if v["name"] == "KOORDNRI_HOST_ROOT"]
    # Stand-ins for what only a node has.
    state = tmp_path / "cpu_manager_state"
    state.write_text('{"policyName": "static"}')
    state.chmod(0o600)
    own = {name: tmp_path / name for name in ("nri", "state", "resctrl")}
    for folder in own.values():
        folder.mkdir()
    # As the kernel's own file systems give to their roots, resctrl's and those of cgroup v1.
    own["resctrl"].chmod(0o555)
    sealed = tmp_path / "sealed"
    sealed.mkdir(mode=0o555)
    sources = {v["name"]: Path(v["hostPath"]["path"]) for v in spec["volumes"]} | own | {"cpu-manager-state": state}
    root = tmp_path / "root"
    script = ["set -e"]
    mounts = sorted(container["volumeMounts"], key=lambda m: str(m["mountPath"]).count("/"))
    for mount in mounts:
        source, target = sources[mount["name"]], Path(f"{root}{mount['mountPath']}")
        make = f"mkdir -p {target.parent}; touch {target}" if source.is_file() else f"mkdir -p {target}"
        script += [make if not mount["mountPath"].startswith(f"{host_root}/sys/") else ":"]
        script.append(f"mount --rbind {source} {target}")
        if mount["name"] == "sys" and not RESCTRL.exists() and "resctrl" in (m["name"] for m in mounts):
            below = f"{target}/fs"
            script += [f"mount -t tmpfs tmpfs {below}", f"mkdir {below}/cgroup {below}/resctrl"]
        if mount.get("readOnly"):
            script.append(f"mount -o remount,bind,ro {target}")
    confined = [sys.executable, "-c", CONFINED, str(root), host_root, cgroup]
    command = [*confined, json.dumps([m["mountPath"] for m in mounts]), str(sealed)]
    bounding = ",".join(["-all", *(f"+{name}" for name in added)])
    script.append(f"exec setpriv --bounding-set={bounding} --inh-caps=-all --no-new-privs {shlex.join(command)}")
    pids = () if spec.get("hostPID") else ("--pid", "--fork")
    unshare = ["unshare", *pids, "--mount", "--propagation=private", "sh", "-c", "\n".join(script)]
    done = subprocess.run(unshare, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("answer", ["kustomized", "kustomized_resctrl"], indirect=True)
def test_the_manifests_mounts_and_capabilities_suffice(answer: dict[str, Any]) -> None:
    assert answer["write"] == ["written", 777, ""]
    assert answer["topology"]
    assert answer["memory"] > 0
    assert answer["kubelet"] == "static"
    assert [p for p in answer["problems"] if "cannot be read" in p] == []
    assert set(answer["writable"]) - {"/host/sys/fs/resctrl"} == {"/var/lib/koordnri", "/host/sys/fs/cgroup"}


@pytest.mark.parametrize("answer", ["kustomized", "kustomized_resctrl"], indirect=True)
def test_landlock_closes_what_mounts_leave_open_and_nothing_else(answer: dict[str, Any]) -> None:
    """The other tests see that cgroups and resctrl are written under it."""
    assert answer["state"] == "made"
    if landlock_version() >= LEAST_VERSION:
        assert answer["landlock"].startswith("on: writes only below ")
        assert answer["elsewhere"] == "EACCES"
    else:
        assert answer["landlock"].startswith("off: this kernel has no Landlock")


@pytest.mark.parametrize("answer", ["kustomized"], indirect=True)
def test_doctor_in_the_pod_misses_no_right_and_no_mount(answer: dict[str, Any]) -> None:
    wrong = [finding for finding in answer["findings"] if finding[0].startswith(("KN04", "KN07"))]
    assert [finding for finding in wrong if finding[0] not in ("KN0402", "KN0403")] == []  # those are this machine's


@pytest.mark.parametrize("answer", ["kustomized"], indirect=True)
def test_there_is_no_capability(answer: dict[str, Any]) -> None:
    assert answer["capabilities"] == [0, 0]
    assert answer["sealed"] == "EACCES"


@pytest.mark.parametrize("answer", ["kustomized_resctrl"], indirect=True)
def test_one_capability_makes_resctrl_groups_in_a_directory_that_not_even_root_may_write_to(
    answer: dict[str, Any],
) -> None:
    assert answer["capabilities"] == [1 << CAP_DAC_OVERRIDE] * 2
    assert answer["sealed"] == answer["group"] == "made"


@pytest.mark.parametrize("answer", ["kustomized"], indirect=True)
def test_without_the_hosts_pids_the_daemon_knows_that_thread_ids_mean_nothing(answer: dict[str, Any]) -> None:
    assert answer["shares_pids"] is False


@pytest.mark.parametrize("answer", ["kustomized_resctrl"], indirect=True)
def test_resctrl_is_writable_and_its_thread_ids_are_the_daemons(answer: dict[str, Any]) -> None:
    assert answer["shares_pids"] is True
    assert "/host/sys/fs/resctrl" in answer["writable"]
