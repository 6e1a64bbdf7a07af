"""The container runtime: NRI's switch, socket and version, and OCI runtimes with known faults (docs/reference/runtimes.md)."""

from __future__ import annotations

import os
from collections.abc import Iterator

from koordnri.doctor.codes import Finding
from koordnri.doctor.facts import CONTAINERD, CRIO, NRI_SOCKET, Facts, RuntimeFacts
from koordnri.session.cdi import why_no_cdi
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.wire.versions import Feature, Version, has, parse_version

_FIRST = {CONTAINERD: Version(1, 7, 0), CRIO: Version(1, 26, 2)}
"""Runtime → its first version with today's NRI"""
_ON_BY_DEFAULT = {CONTAINERD: Version(2, 0, 0), CRIO: Version(1, 30, 0)}
_CRUN_QUOTA, _RUNC_UNIFIED = Version(1, 22, 0), Version(1, 2, 0)
"""First versions without the fault"""


def check(facts: Facts) -> Iterator[Finding]:
    """Everything about the runtime."""
    runtime = facts.runtime
    if not runtime.kind:
        yield Finding(
            "KN0112",
            facts.ours.host_root,
            "neither containerd nor CRI-O runs, and neither is configured, as far as can be seen from here",
            "start the runtime; if it runs, give --host-root the directory under which the host's /proc is",
        )
        return
    if runtime.config_problem:
        yield Finding(
            "KN0111",
            runtime.config_problem.partition(":")[0],
            f"{runtime.config_problem}; what it says of NRI is not known",
            "mend the TOML in this line; the runtime itself does not start with it",
        )
    if runtime.running is False and not facts.daemon.is_registered:
        service = _service(runtime)
        yield Finding(
            "KN0113",
            runtime.kind,
            f"no process named {service} runs on this node; pods cannot start, and koordnri has nobody to register with",
            f"systemctl start {service}; journalctl -u {service} has the reason if it fails",
        )
    yield from _nri(facts)
    yield from _versions(runtime)
    yield from _unanswered(facts)
    yield from _oci(runtime)


def nri_lines(runtime: RuntimeFacts, settings: tuple[str, ...], table: str = "") -> str:
    """Where settings of NRI go in this runtime's configuration, and what to run afterwards.

    settings  lines of the table; table: "" for NRI's own, `default_validator` for the one below
    """
    config = runtime.config
    body = "".join(f"\n    {line}" for line in settings)
    if runtime.kind == CRIO:
        name = f"crio.nri.{table}" if table else "crio.nri"
        path = config.path if config else "/etc/crio/crio.conf.d/10-nri.conf"
        return f"write into {path}:\n\n    [{name}]{body}\n\nthen: systemctl restart crio"
    version = parse_version(runtime.version_text)
    two = version is not None and version >= Version(2, 0, 0)
    path = config.path if config else "/etc/containerd/config.toml"
    below = f".{table}" if table else ""
    lines = f'    [plugins."io.containerd.nri.v1.nri"{below}]{body}'
    if "/rancher/" in path:
        product = "rke2" if "rke2" in path else "k3s"
        template = f"{os.path.dirname(path)}/{'config-v3.toml.tmpl' if two else 'config.toml.tmpl'}"
        return (
            f'{path} is generated; write into {template}:\n\n    {{{{ template "base" . }}}}\n{lines}\n\n'
            f"then restart {product}"
        )
    version_line = f"version = {3 if two else 2}, if the file has no version yet, and"
    return f"write into {path} ({version_line} this table once):\n\n{lines}\n\nthen: systemctl restart containerd"


def _nri(facts: Facts) -> Iterator[Finding]:
    runtime, config = facts.runtime, facts.runtime.config
    version = parse_version(runtime.version_text)
    first = _FIRST.get(runtime.kind)
    name = f"{runtime.kind} {runtime.version_text}".rstrip()
    if version is not None and first is not None and version._replace(final=True) < first:
        yield Finding(
            "KN0105",
            name,
            f"{runtime.kind} has the NRI that koordnri speaks from {first} on",
            f"upgrade {runtime.kind}, best to containerd >= 2.4 or CRI-O >= 1.36",
        )
        return
    if (why := _why_off(runtime, version)) and not facts.daemon.is_registered:
        yield Finding(
            "KN0101",
            config.path if config else name,
            f"{why}; so no plugin can register, and containers start without koordnri",
            nri_lines(runtime, _switch_on(runtime)),
        )
    elif config is not None and not config.connections:
        setting = "nri_disable_connections" if runtime.kind == CRIO else "disable_connections"
        yield Finding(
            "KN0104",
            config.path,
            f"{setting} is true: the runtime serves only plugins that it launched itself",
            nri_lines(runtime, (f"{setting} = false",)),
        )
    elif not (facts.ours.socket_found or facts.daemon.is_registered or runtime.running is False):
        yield from _socket(facts)


def _socket(facts: Facts) -> Iterator[Finding]:
    config, ours = facts.runtime.config, facts.ours
    if config is None or _same_path(config.socket, ours.nri_socket.removeprefix(ours.host_root.rstrip("/"))):
        yield _no_socket(facts, config.path if config else "")
        return
    yield Finding(
        "KN0102",
        config.socket,
        f"{config.path} has the socket at {config.socket}; koordnri looks at {ours.nri_socket}, where there is none",
        f"chart: --set nriSocketDir={os.path.dirname(config.socket)}"
        + (
            ""
            if os.path.basename(config.socket) == "nri.sock"
            else f" and rename the socket to nri.sock in {config.path}"
        )
        + f"; outside Kubernetes: koordnri run --nri-socket {config.socket}",
    )


def _no_socket(facts: Facts, path: str) -> Finding:
    runtime, ours = facts.runtime, facts.ours
    if path:
        cause = f"NRI is on in {path}, and {ours.nri_socket} is not there: the runtime was not restarted since, or cannot make it"
        service = _service(runtime)
        return Finding(
            "KN0103",
            ours.nri_socket,
            cause,
            f"systemctl restart {service}; journalctl -u {service} says why if it fails",
        )
    cause = f"{ours.nri_socket} is not there; the runtime's configuration cannot be read from here"
    return Finding(
        "KN0103",
        ours.nri_socket,
        f"{cause}: NRI is off, the socket is elsewhere, or the runtime does not run",
        nri_lines(runtime, _switch_on(runtime)),
    )


def _why_off(runtime: RuntimeFacts, version: Version | None) -> str:
    """Why NRI is off; "" when it is on, or not known."""
    config = runtime.config
    if config is None:
        return ""  # it may be anywhere
    if config.enabled is not None:
        return "" if config.enabled else f"{config.path} switches NRI off"
    since = _ON_BY_DEFAULT.get(runtime.kind)
    if version is None or since is None or version._replace(final=True) >= since:
        return ""
    return f"NRI is off by default before {runtime.kind} {since}, and {config.path} does not switch it on"


def _switch_on(runtime: RuntimeFacts) -> tuple[str, ...]:
    if runtime.kind == CRIO:
        return "enable_nri = true", f'nri_listen = "{NRI_SOCKET}"'
    return "disable = false", f'socket_path = "{NRI_SOCKET}"'


def _versions(runtime: RuntimeFacts) -> Iterator[Finding]:
    if runtime.nri is None:
        return
    name = f"{runtime.kind} {runtime.version_text} (NRI {runtime.nri})"
    if not has(runtime.nri, Feature.REGISTRATION_DEADLOCK_FIXED):
        yield Finding(
            "KN0106",
            name,
            "before NRI 0.6.1 a plugin that registers while a container is created can freeze the runtime for good",
            "upgrade to containerd >= 1.7.16 or CRI-O >= 1.31; until then restart koordnri only on drained nodes",
        )
    elif not has(runtime.nri, Feature.SAFE_UNSOLICITED_UPDATES):
        yield Finding(
            "KN0107",
            name,
            "before NRI 0.12.1 an update that a plugin sends by itself can freeze the runtime; so koordnri sends none, and brings "
            "changed values into the runtime's own copy by slower ways",
            "nothing has to be done; containerd >= 2.4 has the fix",
        )
    if why_no_cdi(RuntimeInfo(runtime.kind, runtime.version_text, runtime.nri)):
        yield Finding(
            "KN0110",
            name,
            "it drops the CDI devices that a plugin adds; koordnri sends none, and `inject: cdi` has no effect",
            "upgrade to containerd >= 1.7.30 (not 2.0) or CRI-O >= 1.34, or use `inject: env` in koordnri-config.hooks.gpu",
        )


def _unanswered(facts: Facts) -> Iterator[Finding]:
    """What a hook that must decide is worth while the whole daemon hangs."""
    daemon, runtime = facts.daemon, facts.runtime
    if not daemon.is_registered or not daemon.required_hooks or daemon.refuses_unanswered:
        return
    yield Finding(
        "KN0114",
        f"{runtime.kind} {runtime.version_text} (NRI {runtime.nri})",
        f"the policy requires {', '.join(daemon.required_hooks)} (failurePolicy: fail); an error of the hook refuses the container, but "
        "when the whole daemon hangs, the runtime goes on without it after its request timeout",
        "a runtime with NRI >= 0.12.4 refuses the container then; until you have one, require the plugin by the runtime's default "
        "validator (KN0803): it refuses containers from the next one on, once the runtime has disconnected koordnri",
    )


def _oci(runtime: RuntimeFacts) -> Iterator[Finding]:
    path, version = runtime.oci.get("crun", ("", _CRUN_QUOTA))
    if version < _CRUN_QUOTA:
        yield Finding(
            "KN0108",
            f"{path} {version}",
            f"before {_CRUN_QUOTA} crun turns a quota of -1 with a period into 1 % of a CPU: pinned containers crawl",
            f"upgrade crun to >= {_CRUN_QUOTA}",
        )
    path, version = runtime.oci.get("runc", ("", _RUNC_UNIFIED))
    if version < _RUNC_UNIFIED:
        yield Finding(
            "KN0109",
            f"{path} {version}",
            f"before {_RUNC_UNIFIED} runc writes several lines into a cgroup file at once, of which the kernel takes one device",
            f"upgrade runc to >= {_RUNC_UNIFIED} if pods limit more than one disk",
        )


def _service(runtime: RuntimeFacts) -> str:
    """Its program, and systemd's unit."""
    return "crio" if runtime.kind == CRIO else "containerd"


def _same_path(a: str, b: str) -> bool:
    """/var/run is a link to /run."""
    return a.removeprefix("/var").rstrip("/") == b.removeprefix("/var").rstrip("/")
