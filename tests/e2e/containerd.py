"""A real containerd of our own: private configuration, directories and sockets, started and killed at will."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import grpc

from tests.e2e import lab
from tests.e2e.cri import CRI
from tests.support.waiting import eventually

_COMMON = """
version = {version}
root = "{work}/root"
state = "{work}/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs",
]
[grpc]
  address = "{work}/c.sock"
[ttrpc]
  address = "{work}/c.sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{work}/opt"
[plugins."io.containerd.nri.v1.nri"]
  disable = false
  disable_connections = false
  socket_path = "{work}/nri/nri.sock"
  plugin_path = "{work}/nri-plugins"
  plugin_config_path = "{work}/nri-conf"
"""
_V2 = """
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{work}/cni-bin"
    conf_dir = "{work}/cni-conf"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{runc}"
        Root = "{work}/runc"
        SystemdCgroup = {systemd}
"""
_V3 = """
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "{snapshotter}"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{image}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  enable_cdi = true
  cdi_spec_dirs = ["{work}/cdi"]
  enable_unprivileged_ports = false
  enable_unprivileged_icmp = false
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{work}/cni-bin"]
    conf_dir = "{work}/cni-conf"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      BinaryName = "{runc}"
      Root = "{work}/runc"
      SystemdCgroup = {systemd}
"""
_DIRECTORIES = ("root", "state", "opt", "nri", "nri-plugins", "nri-conf", "cdi", "cni-bin", "cni-conf", "runc")


class Containerd:
    """One containerd. Everything it makes is below `work`, except its shims' sockets and its containers' cgroups."""

    def __init__(
        self, name: str, work: Path, *, systemd_cgroup: bool = lab.SYSTEMD, shared_mounts: bool = False
    ) -> None:
        """`name` is the laboratory's directory, such as containerd-1.7; `work` must be short, for it holds sockets.

        shared_mounts   whether mounts of the host are shared with containers that ask for it, as systemd has it on a node. It then
                        has a mount namespace of its own, for this machine may be without systemd
        """
        self.name = name
        self._within = ("unshare", "--mount", "--propagation=shared") if shared_mounts else ()
        self.work = work
        self.systemd_cgroup = systemd_cgroup
        self.socket = work / "c.sock"
        self.nri_socket = work / "nri" / "nri.sock"
        self.log = work / "containerd.log"
        self.version = ""
        self._bin = lab.LAB_DIR / name / "usr" / "bin"
        self._process: subprocess.Popen[bytes] | None = None
        self._snapshotter = "overlayfs" if _overlay_works(work) else "native"
        self._configure()
        self.cri = CRI(self.socket)

    @property
    def pid(self) -> int:
        """Process id of the running containerd."""
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start and wait until it answers CRI and has its NRI socket and its image."""
        # Its own shim, whatever else is installed.
        environment = {**os.environ, "PATH": f"{self._bin}:{os.environ['PATH']}"}
        # A socket left by a killed one would look like readiness.
        self.nri_socket.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._within, self._bin / "containerd", "-c", self.work / "config.toml"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        eventually(self._ready, f"{self.name} ready (log: {self.log})", 60)
        if not self._has_image():
            self.import_image(lab.IMAGE_TAR)
            eventually(self._has_image, f"{lab.IMAGE} in {self.name}")

    def import_image(self, archive: Path) -> None:
        """Import an archive's images, as a registry would deliver them."""
        self._ctr("images", "import", "--snapshotter", self._snapshotter, str(archive))

    def kill(self) -> None:
        """SIGKILL, as an out-of-memory kill would; containers and shims go on."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """SIGKILL and start again on the same directories."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """End it with all that it made: pods, shims, containers, mounts, sockets. The work directory stays."""
        if self._process is not None:
            with contextlib.suppress(grpc.RpcError):
                for sandbox in self.cri.call("ListPodSandbox").items:
                    self.cri.call("StopPodSandbox", pod_sandbox_id=sandbox.id)
                    self.cri.call("RemovePodSandbox", pod_sandbox_id=sandbox.id)
        self.cri.close()
        self._end(signal.SIGTERM)
        sweep(self.work)

    def log_tail(self, lines: int = 12) -> str:
        """The last lines of its log, for a failing test's report."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def _configure(self) -> None:
        for directory in _DIRECTORIES:
            (self.work / directory).mkdir(parents=True, exist_ok=True)
        reported = subprocess.run([self._bin / "containerd", "--version"], capture_output=True, text=True, check=True)
        # "containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6"
        major = int(reported.stdout.split()[2].lstrip("v").partition(".")[0])
        text = (_COMMON + (_V2 if major < 2 else _V3)).format(
            version=2 if major < 2 else 3,
            work=self.work,
            image=lab.IMAGE,
            runc=lab.RUNC,
            snapshotter=self._snapshotter,
            systemd="true" if self.systemd_cgroup else "false",
        )
        (self.work / "config.toml").write_text(text)

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"containerd ended with {self._process.returncode}: {self.log_tail(8)}"
        if not self.nri_socket.exists():
            return False
        try:
            self.version = self.cri.call("Version", timeout_s=2).runtime_version
        except grpc.RpcError:
            return False
        return True

    def _has_image(self) -> bool:
        answer = self.cri.image_call("ImageStatus", image={"image": lab.IMAGE})
        return bool(answer.HasField("image"))

    def _ctr(self, *arguments: str) -> None:
        done = subprocess.run(
            [self._bin / "ctr", "-a", self.socket, "-n", "k8s.io", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"ctr {' '.join(arguments)}: {done.stderr}"

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def sweep(work: Path) -> None:
    """End what a containerd or CRI-O of `work` left, itself and daemons at its socket included; the directory stays.

    Needs nothing but the directory, so that a later run can clean up after one that was killed.
    """
    for mine in (f"-c\0{work}/config.toml\0", f"--config\0{work}/crio.conf\0", f"--nri-socket\0{work}/nri/nri.sock\0"):
        for pid in _processes(mine):
            _kill(pid)
    # runc knows its containers and their cgroups.
    for directory in sorted((work / "runc").glob("*/*")):
        subprocess.run(
            [lab.RUNC, "--root", directory.parent, "delete", "--force", directory.name],
            capture_output=True,
            check=False,
        )
    for pid in _processes(f"-address\0{work}/c.sock\0"):
        _kill(pid)
    # A shim removes its socket in /run/containerd/s when it ends by itself; the bundle names it for those killed.
    for bundle in (work / "state").glob("io.containerd.runtime.v2.task/*/*"):
        for name in ("address", "bootstrap.json"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                text = (bundle / name).read_text()
                address = json.loads(text)["address"] if name.endswith("json") else text
                Path(address.removeprefix("unix://")).unlink()
    for target in reversed(_mounts_below(work)):
        subprocess.run(["umount", "-l", target], capture_output=True, check=False)


def _processes(arguments: str) -> list[int]:
    """Processes whose command line has these arguments, each ended by a NUL."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"\0{arguments}" in (entry / "cmdline").read_text(errors="replace"):
                found.append(int(entry.name))
    return found


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _mounts_below(directory: Path) -> list[str]:
    targets = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [target for target in targets if target.startswith(f"{directory}/")]


def _overlay_works(directory: Path) -> bool:
    """Whether this file system can be an overlay's upper layer; on an overlay root it cannot."""
    directory.mkdir(parents=True, exist_ok=True)
    probe = Path(tempfile.mkdtemp(prefix="overlay", dir=directory))
    try:
        for name in ("lower", "upper", "work", "merged"):
            (probe / name).mkdir()
        options = f"lowerdir={probe}/lower,upperdir={probe}/upper,workdir={probe}/work"
        mounted = subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o", options, probe / "merged"], capture_output=True, check=False
        )
        if mounted.returncode == 0:
            subprocess.run(["umount", probe / "merged"], capture_output=True, check=True)
        return mounted.returncode == 0
    finally:
        shutil.rmtree(probe)
