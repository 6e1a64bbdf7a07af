"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

T = TypeVar("T")


def pods_option(*, required: bool = True) -> Callable[[T], T]:
    """-f."""
    return click.option(  # type: ignore[return-value]  # click types its decorators by what they decorate
        "-f",
        "--filename",
        "pods_path",
        required=required,
        metavar="FILE",
        help='Manifests of pods or workloads; "-" is standard input.',
    )


def policy_option(command: T) -> T:
    """--policy."""
    return click.option(
        "--policy",
        "policy_path",
        metavar="FILE",
        help="A ConfigMap, just its data, or a directory with a file per key. Default: koordnri's defaults.",
    )(command)  # type: ignore[type-var]  # as above


def node_option(command: T) -> T:
    """--node."""
    return click.option(
        "--node",
        "node_path",
        metavar="FILE",
        help="A description of the node. Default: a node of which nothing is known, with cgroup v2.",
    )(command)  # type: ignore[type-var]  # as above


def state_dir_option(command: T) -> T:
    """--state-dir."""
    return click.option(
        "--state-dir",
        type=click.Path(path_type=Path),
        default=Path("/var/lib/koordnri"),
        show_default=True,
        envvar="KOORDNRI_STATE_DIR",
        help="The running daemon's; its control socket is there.",
    )(command)  # type: ignore[type-var]  # as above


def nri_socket_option(command: T) -> T:
    """--nri-socket."""
    return click.option(
        "--nri-socket",
        default="/var/run/nri/nri.sock",
        show_default=True,
        envvar="KOORDNRI_NRI_SOCKET",
        help="The runtime's NRI socket.",
    )(command)  # type: ignore[type-var]  # as above


def kubeconfig_option(command: T) -> T:
    """--kubeconfig."""
    return click.option(
        "--kubeconfig",
        type=click.Path(path_type=Path),
        envvar="KOORDNRI_KUBECONFIG",
        metavar="FILE",
        help="The way to the API server; without it, in a pod, its service account.",
    )(command)  # type: ignore[type-var]  # as above


def timeout_option(meaning: str) -> Callable[[T], T]:
    """--timeout, as the parameter `timeout_s`."""
    return click.option(  # type: ignore[return-value]  # as above
        "--timeout",
        "timeout_s",
        type=click.FloatRange(min=0),
        default=60.0,
        show_default=True,
        metavar="SECONDS",
        help=meaning,
    )
