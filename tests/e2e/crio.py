"""A real CRI-O of our own, as tests.e2e.containerd has containerds: private configuration, directories and sockets."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.e2e import lab
from tests.e2e.runtime_process import RuntimeProcess

_CONFIG = """
[crio]
root = "{work}/root"
runroot = "{work}/state"
storage_driver = "vfs"
log_dir = "{work}/logs"
version_file = "{work}/version"
version_file_persist = "{work}/version-persist"
clean_shutdown_file = "{work}/clean-shutdown"
[crio.api]
listen = "{work}/c.sock"
stream_address = "127.0.0.1"
stream_port = "0"
[crio.runtime]
conmon_cgroup = "{conmon_cgroup}"
cgroup_manager = "{manager}"
default_runtime = "own"
pinns_path = "{pinns}"
namespaces_dir = "{work}/ns"
container_exits_dir = "{work}/exits"
container_attach_socket_dir = "{work}/attach"
hooks_dir = []
cdi_spec_dirs = ["{work}/cdi"]
default_sysctls = []
disable_hostport_mapping = true
[crio.runtime.runtimes.own]
runtime_path = "{runc}"
runtime_type = "oci"
runtime_root = "{work}/runc/crio"
monitor_path = "{conmon}"
monitor_cgroup = "{conmon_cgroup}"
[crio.image]
pause_image = "{image}"
signature_policy = "{work}/policy.json"
[crio.network]
network_dir = "{work}/cni-conf"
plugin_dirs = ["{work}/cni-bin"]
[crio.nri]
enable_nri = true
nri_listen = "{work}/nri/nri.sock"
nri_plugin_dir = "{work}/nri-plugins"
nri_plugin_config_dir = "{work}/nri-conf"
"""
_DIRECTORIES = (
    "root",
    "state",
    "logs",
    "ns",
    "exits",
    "attach",
    "nri",
    "nri-plugins",
    "nri-conf",
    "cdi",
    "cni-bin",
    "cni-conf",
)


class CRIO(RuntimeProcess):
    """One CRI-O. Everything it makes is below `work`, except its containers' cgroups. A pod has no pause container, as by default."""

    def __init__(self, work: Path, *, systemd_cgroup: bool = lab.SYSTEMD) -> None:
        """`work` must be short, for it holds sockets."""
        super().__init__(lab.CRIO, work, systemd_cgroup=systemd_cgroup)
        self._bin = lab.LAB_DIR / lab.CRIO
        self._configure()

    def start(self) -> None:
        """Start and wait until it answers CRI and has its NRI socket and its image."""
        self._take_image()
        self._launch(
            [self._bin / "crio", "--config", self.work / "crio.conf", "--config-dir", ""],
            {"CONTAINERS_REGISTRIES_CONF": str(self.work / "registries.conf")},
        )

    def _configure(self) -> None:
        for directory in _DIRECTORIES:
            (self.work / directory).mkdir(parents=True, exist_ok=True)
        text = _CONFIG.format(
            work=self.work,
            image=lab.IMAGE,
            runc=lab.RUNC,
            conmon=shutil.which("conmon"),
            pinns=self._bin / "pinns",
            manager="systemd" if self.systemd_cgroup else "cgroupfs",
            conmon_cgroup="system.slice" if self.systemd_cgroup else "pod",
        )
        (self.work / "crio.conf").write_text(text)
        (self.work / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        (self.work / "registries.conf").write_text("unqualified-search-registries = []\n")

    def _take_image(self) -> None:
        """CRI-O cannot read an archive; buildah, which has the same store, can."""
        store = ["--root", self.work / "root", "--runroot", self.work / "state", "--storage-driver", "vfs"]
        pull = ["pull", "--signature-policy", self.work / "policy.json", f"oci-archive:{lab.IMAGE_TAR}"]
        done = subprocess.run(["buildah", *store, *pull], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
