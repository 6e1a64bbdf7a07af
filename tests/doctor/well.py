"""Facts of a node where all is well, and what the checks find beyond it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from koordnri.doctor.diagnose import diagnose
from koordnri.doctor.facts import (
    CONTAINERD,
    CRIO,
    Cgroups,
    DaemonFacts,
    Facts,
    KernelFacts,
    OurFacts,
    RuntimeConfig,
    RuntimeFacts,
)
from koordnri.wire.versions import nri_version

FILE = "/etc/containerd/config.toml"
CONFIG = RuntimeConfig(FILE, enabled=True)


def runtime(
    text: str = "2.4.2", config: RuntimeConfig | None = CONFIG, kind: str = CONTAINERD, **more: Any
) -> RuntimeFacts:
    return RuntimeFacts(kind, text, nri_version(kind, text) if text else None, config, **more)


def crio(text: str = "1.36.0", config: RuntimeConfig | None = None) -> RuntimeFacts:
    return runtime(text, config, CRIO)


WELL = Facts(
    runtime=runtime(config=CONFIG._replace(validator=True, required_plugins=("koordnri",), tolerated="x")),
    cgroups=Cgroups(controllers=frozenset({"cpu", "cpuset", "memory", "io", "pids"})),
    kernel=KernelFacts(pressure=True, inotify_watches=65536),
    daemon=DaemonFacts(
        running=True, runtime_name="containerd", runtime_version="2.4.2", late_events=0, overruns=0, hooks_p999_s=0.001
    ),
    koordnri_pids=(7,),
)
NO_DAEMON = replace(WELL, daemon=DaemonFacts(), koordnri_pids=())


def without_daemon(running: RuntimeFacts, socket: bool = False) -> Facts:
    return replace(NO_DAEMON, runtime=running, ours=OurFacts(socket_found=socket))


def codes(facts: Facts, beside: Facts = WELL) -> list[str]:
    """Codes that these facts have, beyond those of the others."""
    known = [finding.code for finding in diagnose(beside)]
    return [finding.code for finding in diagnose(facts) if finding.code not in known]
