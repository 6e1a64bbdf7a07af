"""`koordnri run`: the daemon."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import click

from koordnri.cli.listening import address
from koordnri.cli.options import kubeconfig_option


def _configmap(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, str] | None:
    if value is None:
        return None
    namespace, slash, name = value.partition("/")
    if not slash or not namespace or not name or "/" in name:
        raise click.BadParameter(
            f'expected NAMESPACE/NAME such as koordinator-system/slo-controller-config, got "{value}"'
        )
    return namespace, name


@click.command(context_settings={"auto_envvar_prefix": "KOORDNRI"})
@click.option(
    "--nri-socket",
    default="/var/run/nri/nri.sock",
    show_default=True,
    envvar="KOORDNRI_NRI_SOCKET",
    help="the runtime's NRI socket",
)
@click.option(
    "--plugin-name", default="koordnri", show_default=True, envvar="KOORDNRI_PLUGIN_NAME", help="name to register with"
)
@click.option(
    "--plugin-index",
    default="10",
    show_default=True,
    envvar="KOORDNRI_PLUGIN_INDEX",
    help="two digits: our place among the plugins",
)
@click.option(
    "--policy-file",
    type=click.Path(path_type=Path),
    envvar="KOORDNRI_POLICY_FILE",
    help="ConfigMap manifest, its data, or a mounted ConfigMap's directory",
)
@click.option(
    "--policy-configmap",
    callback=_configmap,
    envvar="KOORDNRI_POLICY_CONFIGMAP",
    metavar="NAMESPACE/NAME",
    help="take the policy from this ConfigMap, through the API server",
)
@kubeconfig_option
@click.option(
    "--node-name",
    default="",
    envvar=["KOORDNRI_NODE_NAME", "NODE_NAME"],
    help="name of this node  [default: NODE_NAME]",
)
@click.option(
    "--annotate-node",
    is_flag=True,
    envvar="KOORDNRI_ANNOTATE_NODE",
    help="keep the policy in force in the annotation koordnri.sh/policy of this Node; needs the verb patch on nodes",
)
@click.option(
    "--host-root",
    type=click.Path(path_type=Path),
    default=Path("/"),
    show_default=True,
    envvar="KOORDNRI_HOST_ROOT",
    help="where the host's /sys and /proc are mounted",
)
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default=Path("/var/lib/koordnri"),
    show_default=True,
    envvar="KOORDNRI_STATE_DIR",
    help="lock and what must outlive the process",
)
@click.option(
    "--record-route",
    type=click.Choice(["auto", "unsolicited", "resync", "reply", "none"]),
    envvar="KOORDNRI_RECORD_ROUTE",
    help="how the runtime's stored spec follows what was written  [default: the policy's recordRoute, else auto]",
)
@click.option(
    "--history",
    type=click.Choice(["off", "memory", "disk"]),
    default="disk",
    show_default=True,
    envvar="KOORDNRI_HISTORY",
    help="where changes of fields are kept for `koordnri why`; disk: two files of 4 MiB in --state-dir, and in memory",
)
@click.option(
    "--listen",
    default="127.0.0.1:9316",
    show_default=True,
    callback=address,
    envvar="KOORDNRI_LISTEN",
    help='metrics and health, HOST:PORT or "off"',
)
@click.option(
    "--listen-tls-cert",
    type=click.Path(path_type=Path),
    envvar="KOORDNRI_LISTEN_TLS_CERT",
    help="serve --listen with TLS: the certificate, PEM; a renewed one is taken",
)
@click.option(
    "--listen-tls-key",
    type=click.Path(path_type=Path),
    envvar="KOORDNRI_LISTEN_TLS_KEY",
    help="the key of --listen-tls-cert",
)
@click.option(
    "--listen-token-file",
    type=click.Path(path_type=Path),
    envvar="KOORDNRI_LISTEN_TOKEN_FILE",
    help="/metrics and /v1/policy only for who sends the token in this file as bearer; a changed one holds at once",
)
@click.option(
    "--listen-health",
    default="off",
    show_default=True,
    callback=address,
    envvar="KOORDNRI_LISTEN_HEALTH",
    help='health alone, HOST:PORT or "off": for kubelet, so that clients of --listen cannot get in its way',
)
@click.option(
    "--page",
    default="off",
    show_default=True,
    callback=address,
    envvar="KOORDNRI_PAGE",
    help='a page of the node for browsers, HOST:PORT such as 127.0.0.1:9317 or "off"; whoever reaches it can read it',
)
@click.option(
    "--write",
    multiple=True,
    type=click.Choice(["processes", "sysctls", "interrupts", "terway"]),
    envvar="KOORDNRI_WRITE",
    help="what else of the host may be written, several times or separated by spaces; processes: oom_score_adj of running containers;"
    " sysctls: those of system-config; interrupts: the CPUs that serve them (keepInterruptsOff);"
    " terway: the files of its bandwidths (netQOSPolicy terway-qos)",
)
@click.option(
    "--landlock",
    type=click.Choice(["auto", "off"]),
    default="auto",
    show_default=True,
    envvar="KOORDNRI_LANDLOCK",
    help="auto: write only below --state-dir, cgroups and resctrl from the start on, where the kernel has Landlock",
)
@click.option(
    "--log-format",
    type=click.Choice(["json", "console"]),
    default="json",
    show_default=True,
    envvar="KOORDNRI_LOG_FORMAT",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    envvar="KOORDNRI_LOG_LEVEL",
)
def run(plugin_name: str, plugin_index: str, state_dir: Path, **options: Any) -> None:
    """Register with the container runtime and decide for every container, until SIGTERM.

    Every option is also read from the environment, as KOORDNRI_ and the option's name in capitals.
    """
    from koordnri.chain import ChainError
    from koordnri.daemon.config import Config, ConfigError
    from koordnri.daemon.confinement import confine
    from koordnri.daemon.daemon import Daemon
    from koordnri.session.identity import Identity, IdentityError, launched_by_runtime

    try:
        launched = launched_by_runtime(os.environ)
        config = Config(
            identity=launched or Identity(plugin_name, plugin_index),
            state_dir=state_dir,
            **options,  # named as the fields
        )
        log_fd = 2 if launched is None else _log_file(state_dir)
        daemon = Daemon(config, log_fd=log_fd, confinement=confine(config))
    except (IdentityError, ChainError, ConfigError) as error:
        raise click.ClickException(str(error)) from error
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: daemon.stop())
    try:
        sys.exit(daemon.run())
    except (ConfigError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _log_file(state_dir: Path) -> int:
    """A runtime gives the plugins that it launches /dev/null for stderr: log to a file instead, which each start truncates.

    If no file can be made, log to stderr.
    """
    path = state_dir / "koordnri.log"
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            path.replace(path.with_suffix(".log.1"))
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError:
        return 2
