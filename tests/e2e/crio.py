"""A real CRI-O of our own, as tests.e2e.containerd has containerds: private configuration, directories and sockets."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import grpc

from tests.e2e import lab
from tests.e2e.containerd import sweep
from tests.e2e.cri import CRI
from tests.support.waiting import eventually

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


class CRIO:
    """One CRI-O. Everything it makes is below `work`, except its containers' cgroups. A pod has no pause container, as by default."""

    name = lab.CRIO

    def __init__(self, work: Path, *, systemd_cgroup: bool = lab.SYSTEMD) -> None:
        """`work` must be short, for it holds sockets."""
        self.work = work
        self.systemd_cgroup = systemd_cgroup
        self.socket = work / "c.sock"
        self.nri_socket = work / "nri" / "nri.sock"
        self.log = work / "crio.log"
        self.version = ""
        self._bin = lab.LAB_DIR / lab.CRIO
        self._process: subprocess.Popen[bytes] | None = None
        self._configure()
        self.cri = CRI(self.socket)

    @property
    def pid(self) -> int:
        """Process id of the running CRI-O."""
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start and wait until it answers CRI and has its NRI socket and its image."""
        self._take_image()
        # A socket left by a killed one would look like readiness.
        self.nri_socket.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "crio", "--config", self.work / "crio.conf", "--config-dir", ""],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "CONTAINERS_REGISTRIES_CONF": str(self.work / "registries.conf")},
                start_new_session=True,
            )
        eventually(self._ready, f"{self.name} ready (log: {self.log})", 60)

    def kill(self) -> None:
        """SIGKILL, as an out-of-memory kill would; containers and their monitors go on."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """SIGKILL and start again on the same directories."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """End it with all that it made: pods, containers, mounts, sockets. The work directory stays."""
        if self._process is not None:
            with contextlib.suppress(grpc.RpcError):
                for container in self.cri.call("ListContainers").containers:
                    self.cri.call("StopContainer", container_id=container.id, timeout=0)
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

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"crio ended with {self._process.returncode}: {self.log_tail(8)}"
        if not self.nri_socket.exists():
            return False
        try:
            self.version = self.cri.call("Version", timeout_s=2).runtime_version
        except grpc.RpcError:
            return False
        return True

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
