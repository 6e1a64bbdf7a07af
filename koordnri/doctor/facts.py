"""What the checks look at. None: the fact is not known, and no check finds anything about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from koordnri.model import NodeState
from koordnri.model.node import Resctrl
from koordnri.wire.versions import Version

CONTAINERD = "containerd"
CRIO = "cri-o"
NRI_SOCKET = "/var/run/nri/nri.sock"
"""Where both runtimes have their socket by default."""


class RuntimeConfig(NamedTuple):
    """What the runtime's configuration says."""

    path: str
    """the file to edit, as the host names it"""
    enabled: bool | None = None
    """None: not set, so the version's default applies"""
    socket: str = NRI_SOCKET
    connections: bool = True
    """whether it takes plugins that it did not launch"""
    request_timeout_s: float | None = None
    validator: bool = False
    required_plugins: tuple[str, ...] = ()
    tolerated: str = ""
    """annotation by which a pod may start without the required plugins"""
    systemd_cgroup: bool | None = None
    """whether runc uses systemd's cgroup driver"""


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """The container runtime that kubelet uses."""

    kind: str = ""
    """CONTAINERD, CRIO, or "" when none was found"""
    version_text: str = ""
    """as its binary or the daemon has it; "" when unknown"""
    nri: Version | None = None
    config: RuntimeConfig | None = None
    """None: cannot be read from here"""
    running: bool | None = None
    """None: the host's processes are not seen"""
    config_problem: str = ""
    """why a configuration that is there cannot be parsed"""
    oci: dict[str, tuple[str, Version]] = field(default_factory=dict)
    """`crun`, `runc` → path and version, of those that were found"""


@dataclass(frozen=True, slots=True)
class KubeletFacts:
    """kubelet's configuration, from its file and its command line."""

    config_path: str = "/var/lib/kubelet/config.yaml"
    cpu_policy: str = "none"
    memory_policy: str | None = None
    cgroup_driver: str | None = None
    cgroups_per_qos: bool | None = None
    state_dir: str = "/var/lib/kubelet"
    """its --root-dir, where its CPU manager's state is"""
    state_found: bool = True
    """whether koordnri sees that state; kubelet has it whenever it runs"""
    state_replaced: bool = False
    """the CPU manager's state that we see has no name any more"""


@dataclass(frozen=True, slots=True)
class Cgroups:
    """The host's cgroups."""

    path: str = "/sys/fs/cgroup"
    version: int | None = 2
    driver: str = "systemd"
    controllers: frozenset[str] | None = None
    """those that pods can have"""
    read_only: bool = False
    writable: bool = True
    """whether this process may write files there"""
    both_drivers: bool = False
    """both `kubepods` and `kubepods.slice` exist"""


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """What the kernel offers."""

    resctrl_supported: bool = False
    """the CPU can allocate cache or memory bandwidth"""
    resctrl: Resctrl | None = None
    resctrl_mounted: bool = False
    resctrl_writable: bool = False
    pressure: bool | None = None
    inotify_watches: int | None = None


@dataclass(frozen=True, slots=True)
class OurFacts:
    """What koordnri itself has."""

    uid: int = 0
    host_root: str = "/"
    host_found: bool = True
    """whether the host's /proc and /sys are below host_root"""
    nri_socket: str = NRI_SOCKET
    socket_found: bool = True
    plugin_name: str = "koordnri"
    state_dir: str = "/var/lib/koordnri"
    state_problem: str = ""


@dataclass(frozen=True, slots=True)
class DaemonFacts:
    """What the running daemon says. A counter that is not known is None."""

    running: bool = False
    problem: str = ""
    """why it does not answer; "" when it does, or when none runs"""
    problems: tuple[str, ...] = ()
    """what keeps it from being ready"""
    warnings: tuple[str, ...] = ()
    required_hooks: tuple[str, ...] = ()
    """hooks without which the policy lets no container be created (`failurePolicy: fail`)"""
    refuses_unanswered: bool = False
    """whether the runtime refuses containers while the daemon does not answer"""
    runtime_name: str = ""
    """of the runtime that it is registered with, or was last; "" when unknown"""
    runtime_version: str = ""
    late_events: int | None = None
    """events that were answered late"""
    overruns: int | None = None
    """events that were answered incomplete, because the hooks' time was used up"""
    hooks_p999_s: float | None = None
    """time (s) that 99.9 % of the events' hooks stay within, as the histograms' bounds say; infinity: beyond the last bound"""

    @property
    def is_registered(self) -> bool:
        """Whether the daemon is registered with a runtime. Then NRI works, whatever the configuration that we read."""
        return bool(self.runtime_name)


@dataclass(frozen=True, slots=True)
class Facts:
    """All of them."""

    runtime: RuntimeFacts = field(default_factory=RuntimeFacts)
    kubelet: KubeletFacts = field(default_factory=KubeletFacts)
    cgroups: Cgroups = field(default_factory=Cgroups)
    kernel: KernelFacts = field(default_factory=KernelFacts)
    ours: OurFacts = field(default_factory=OurFacts)
    daemon: DaemonFacts = field(default_factory=DaemonFacts)
    agents: tuple[str, ...] = ()
    """names of running programs that write the same settings"""
    koordnri_pids: tuple[int, ...] = ()
    """processes of `koordnri run`"""
    node: NodeState = field(default_factory=NodeState)
    """as the host's files show it, without what the runtime and the API server report"""
    problems: tuple[str, ...] = ()
    """files of the host that could not be read or parsed"""
