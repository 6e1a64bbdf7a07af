"""A real CRI-O of our own, as tests.e2e.containerd has containerds: private configuration, directories and sockets."""

from __future__ import annotations

import json
import os
import shutil
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
monitor_cgroup = "{conmon_cgroup}"
monitor_env = {environment}
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
        self._parts = lab.LAB_DIR / "crio-parts"
        self._environment = {"PATH": os.environ["PATH"]}
        if shutil.which("conmon") is None:
            # In the virtual machine, which has no libraries of it either.
            usr = self._parts / "usr"
            self._environment = {
                "PATH": f"{usr}/bin:{os.environ['PATH']}",
                "LD_LIBRARY_PATH": f"{usr}/lib/x86_64-linux-gnu",
            }
        self.configure()

    def start(self) -> None:
        """Start and wait until it answers CRI and has its NRI socket and its image."""
        if not (self.work / "root" / "vfs-images").exists():
            shutil.copytree(self._parts / "store", self.work / "root", symlinks=True, dirs_exist_ok=True)
        self._launch(
            [self._bin / "crio", "--config", self.work / "crio.conf", "--config-dir", ""],
            {"CONTAINERS_REGISTRIES_CONF": str(self.work / "registries.conf"), **self._environment},
        )

    def configure(self, more: str = "") -> None:
        """Write its configuration, which it reads at its start; `more` is TOML that goes to the end."""
        for directory in _DIRECTORIES:
            (self.work / directory).mkdir(parents=True, exist_ok=True)
        text = _CONFIG.format(
            work=self.work,
            image=lab.IMAGE,
            runc=lab.RUNC,
            environment=json.dumps([f"{name}={value}" for name, value in self._environment.items()]),
            pinns=self._bin / "pinns",
            manager="systemd" if self.systemd_cgroup else "cgroupfs",
            conmon_cgroup="system.slice" if self.systemd_cgroup else "pod",
        )
        (self.work / "crio.conf").write_text(text + more)
        (self.work / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        (self.work / "registries.conf").write_text("unqualified-search-registries = []\n")
