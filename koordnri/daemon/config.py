"""The daemon's configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from koordnri.host.terway import DIRECTORY
from koordnri.session.identity import Identity

WRITES = {
    "processes": ("proc",),
    "sysctls": ("proc/sys", "sys/kernel/mm", "sys/kernel/debug"),
    "interrupts": ("proc/irq",),
    "terway": (DIRECTORY,),
}
"""Word of `--write` → what of the host's files it lets the daemon write, for Landlock"""


class ConfigError(ValueError):
    """The command line asks for something that is not available; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Config:
    """The command line's values. Defaults are those of `koordnri run`."""

    identity: Identity = field(default_factory=lambda: Identity("koordnri", "10"))
    nri_socket: str = "/var/run/nri/nri.sock"
    policy_file: Path | None = None
    policy_configmap: tuple[str, str] | None = None
    """namespace and name"""
    kubeconfig: Path | None = None
    node_name: str = ""
    annotate_node: bool = False
    """whether the Node has the policy in force as an annotation"""
    record_route: str | None = None
    """one of recorder.ROUTES or "auto"; None: as the policy says"""
    host_root: Path = Path("/")
    state_dir: Path = Path("/var/lib/koordnri")
    history: str = "disk"
    """where the decision history is kept: `off`, `memory`, `disk` (and in memory)"""
    listen: tuple[str, int] | None = ("127.0.0.1", 9316)
    """host and port; port 0: any free one; None: do not listen"""
    listen_tls_cert: Path | None = None
    """PEM, with its chain; together with `listen_tls_key`"""
    listen_tls_key: Path | None = None
    listen_token_file: Path | None = None
    """who reads metrics and policy on `listen` must send the token that this file holds"""
    listen_health: tuple[str, int] | None = None
    """host and port of health alone, as `listen`"""
    page: tuple[str, int] | None = None
    """host and port of the page for browsers, as `listen`"""
    write: tuple[str, ...] = ()
    """what else of the host the daemon may write: members of `WRITES`"""
    landlock: str = "auto"
    """`auto`: give up writing elsewhere where the kernel can; `off`"""
    log_format: str = "json"
    log_level: str = "info"
