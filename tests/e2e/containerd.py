"""A real containerd of our own: private configuration, directories and sockets, started and killed at will."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.e2e import lab
from tests.e2e.runtime_process import RuntimeProcess
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


class Containerd(RuntimeProcess):
    """One containerd. Everything it makes is below `work`, except its shims' sockets and its containers' cgroups."""

    def __init__(
        self, name: str, work: Path, *, systemd_cgroup: bool = lab.SYSTEMD, shared_mounts: bool = False
    ) -> None:
        """`name` is the laboratory's directory, such as containerd-1.7; `work` must be short, for it holds sockets.

        shared_mounts   whether mounts of the host are shared with containers that ask for it, as systemd has it on a node. It then
                        has a mount namespace of its own, for this machine may be without systemd
        """
        super().__init__(name, work, systemd_cgroup=systemd_cgroup)
        self._within = ("unshare", "--mount", "--propagation=shared") if shared_mounts else ()
        self._bin = lab.LAB_DIR / name / "usr" / "bin"
        self._snapshotter = "overlayfs" if _overlay_works(work) else "native"
        self.configure()

    def start(self) -> None:
        """Start and wait until it answers CRI and has its NRI socket and its image."""
        # Its own shim, whatever else is installed.
        self._launch(
            [*self._within, self._bin / "containerd", "-c", self.work / "config.toml"],
            {"PATH": f"{self._bin}:{os.environ['PATH']}"},
        )
        if not self._has_image():
            self.import_image(lab.IMAGE_TAR)
            eventually(self._has_image, f"{lab.IMAGE} in {self.name}")

    def import_image(self, archive: Path) -> None:
        """Import an archive's images, as a registry would deliver them."""
        self._ctr("images", "import", "--snapshotter", self._snapshotter, str(archive))

    def configure(self, more: str = "") -> None:
        """Write its configuration, which it reads at its start; `more` is TOML that goes to the end."""
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
        (self.work / "config.toml").write_text(text + more)

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
