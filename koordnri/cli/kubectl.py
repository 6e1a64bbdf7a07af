#!/usr/bin/env python3
"""`kubectl koordnri`: runs a command in the daemon's pod of a node, or of each.

Installed as `kubectl-koordnri`, which kubectl finds on the PATH. It needs kubectl and nothing of koordnri, so that it starts at once, and
this file alone is enough.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

_LABEL = "app.kubernetes.io/name=koordnri"
_CONTAINER = "koordnri"
_OF_PODS = ("explain", "why", "release")
"""Commands that name a pod of the cluster: NAMESPACE/NAME"""
_POD = re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9.-]*")
# kubectl's own words, when it has run the command and this failed.
_ENDED = re.compile(rb"^command terminated with exit code \d+\n?\Z", re.MULTILINE)
_NAMES_ITS_NODE = ("status", "top", "map")
"""Commands whose output begins with the node's name"""
_AT_ONCE = 8
"""nodes that are asked at the same time"""
_CANNOT_ASK = 2
"""Exit code, as that of koordnri's commands when the daemon cannot be asked"""
_USAGE = """kubectl koordnri [--node NODE | --all-nodes] [-n NAMESPACE] [--context NAME] [--kubeconfig FILE] COMMAND [ARGUMENT…]

Runs `koordnri COMMAND` in the daemon's pod of NODE. Without --node it is the node of the pod that explain, why or release name, or the
only node with a daemon. --all-nodes runs it on each node that has a pod of the daemon; the exit code is the highest one.

    kubectl koordnri explain shop/web-0
    kubectl koordnri --node worker-1 status
    kubectl koordnri --node worker-1 diff --live --policy - < new.yaml
    kubectl koordnri --node worker-1 report -o - > report.tar.gz
    kubectl koordnri --all-nodes status --brief
"""


class _Daemon(NamedTuple):
    """A pod of the daemon."""

    namespace: str
    pod: str
    node: str
    phase: str


class KubectlError(Exception):
    """The message says what to do."""


def main() -> None:
    """Entry point of `kubectl-koordnri`."""
    try:
        sys.exit(run(sys.argv[1:]))
    except KubectlError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit code. Raises KubectlError."""
    parser = argparse.ArgumentParser("kubectl koordnri", usage=_USAGE, add_help=True, allow_abbrev=False)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--node")
    where.add_argument("--all-nodes", action="store_true")
    parser.add_argument("-n", "--namespace", help="of the daemon's pods; default: wherever they are")
    parser.add_argument("--context")
    parser.add_argument("--kubeconfig")
    parser.add_argument("command")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    options = {"context": given.context, "kubeconfig": given.kubeconfig}
    kubectl = ["kubectl", *(f"--{name}={value}" for name, value in options.items() if value)]
    words = [given.command, *given.arguments]
    if given.all_nodes:
        return _run_everywhere(kubectl, _daemons(kubectl, "", given.namespace), words)
    node = given.node or _node_of(kubectl, given.command, given.arguments)
    terminal = ["-t"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    execute = _execute(_only(_daemons(kubectl, node, given.namespace), node), words, *terminal)
    return subprocess.run([*kubectl, *execute], check=False).returncode  # noqa: S603  # what the user typed, and no shell


def _execute(daemon: _Daemon, words: Sequence[str], *terminal: str) -> list[str]:
    where = [f"--namespace={daemon.namespace}", daemon.pod, f"--container={_CONTAINER}"]
    return ["exec", "-i", *terminal, *where, "--", "koordnri", *words]


def _run_everywhere(kubectl: Sequence[str], daemons: Sequence[_Daemon], words: Sequence[str]) -> int:
    """Run it on each node, and print what it prints, node after node. Returns the highest exit code."""
    # Only for `--policy -` and the like: a terminal or an idle pipe would be waited for without end.
    given = sys.stdin.buffer.read() if "-" in words[1:] else b""
    highest = 0
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for daemon, done in zip(daemons, threads.map(partial(_run_on, kubectl, words, given), daemons), strict=True):
            _print(daemon, words, done)
            # Without that sentence of kubectl's it is kubectl that failed: nobody was asked.
            ran = done.returncode == 0 or _ENDED.search(done.stderr) is not None
            highest = max(highest, done.returncode if ran else _CANNOT_ASK)
    return highest


def _run_on(
    kubectl: Sequence[str], words: Sequence[str], given: bytes, daemon: _Daemon
) -> subprocess.CompletedProcess[bytes]:
    if daemon.phase != "Running":
        error = f"Error: no koordnri daemon runs on node {daemon.node}: pod {daemon.namespace}/{daemon.pod} is {daemon.phase}\n"
        return subprocess.CompletedProcess([], _CANNOT_ASK, b"", error.encode())
    command = [*kubectl, *_execute(daemon, words)]
    return subprocess.run(command, input=given, capture_output=True, check=False)  # noqa: S603  # as above


def _print(daemon: _Daemon, words: Sequence[str], done: subprocess.CompletedProcess[bytes]) -> None:
    if words[0] not in _NAMES_ITS_NODE or not done.stdout:
        print(f"{daemon.node}:", file=sys.stderr, flush=True)
    # kubectl's sentence about the exit code would stand between the nodes' lines.
    for stream, text in ((sys.stdout, done.stdout), (sys.stderr, _ENDED.sub(b"", done.stderr))):
        stream.buffer.write(text)
        stream.flush()


def _node_of(kubectl: Sequence[str], command: str, arguments: Sequence[str]) -> str:
    """The node of the pod that the command names; "" when it names none."""
    named = [name for argument in arguments if _POD.fullmatch(name := argument.removeprefix("--pod="))]
    if not named or command not in _OF_PODS:
        return ""
    namespace, _, pod = named[0].partition("/")
    node = _ask(kubectl, "get", "pod", f"--namespace={namespace}", pod, "--output=jsonpath={.spec.nodeName}")
    if not node:
        raise KubectlError(f"pod {named[0]} is on no node yet")
    return node


def _daemons(kubectl: Sequence[str], node: str, namespace: str | None) -> list[_Daemon]:
    """The pods of the daemon: those that have a node, in the order of the nodes' names; at least one."""
    where = [f"--namespace={namespace}"] if namespace else ["--all-namespaces"]
    shape = "{.metadata.namespace} {.metadata.name} {.spec.nodeName} {.status.phase}"
    select = [f"--selector={_LABEL}", f'--output=jsonpath={{range .items[*]}}{shape}{{"\\n"}}{{end}}']
    if node:
        select.append(f"--field-selector=spec.nodeName={node}")
    lines = [line.split() for line in _ask(kubectl, "get", "pods", *where, *select).splitlines()]
    found = sorted((_Daemon(*line) for line in lines if len(line) == 4), key=lambda daemon: daemon.node)
    if not found:
        there = f"on node {node}" if node else "in this cluster"
        raise KubectlError(f"no koordnri daemon runs {there}; see kubectl get pods -A -l {_LABEL} -o wide")
    return found


def _only(daemons: Sequence[_Daemon], node: str) -> _Daemon:
    """The one that runs."""
    running = [daemon for daemon in daemons if daemon.phase == "Running"]
    if not running:
        one = daemons[0]
        raise KubectlError(f"no koordnri daemon runs on node {one.node}: pod {one.namespace}/{one.pod} is {one.phase}")
    if len(running) > 1:
        nodes = [daemon.node for daemon in running]
        shown = ", ".join(nodes[:10]) + ("…" if len(nodes) > 10 else "")
        raise KubectlError(f"expected --node NODE or --all-nodes; daemons run on {shown}")
    return running[0]


def _ask(kubectl: Sequence[str], *arguments: str) -> str:
    """What kubectl prints. Its own error message goes to the terminal."""
    try:
        done = subprocess.run(  # noqa: S603  # as above
            [*kubectl, *arguments], stdout=subprocess.PIPE, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError:
        raise KubectlError(f"kubectl is not on the PATH ({os.environ.get('PATH', '')})") from None
    if done.returncode != 0:
        raise KubectlError(f"kubectl {arguments[0]} {arguments[1]} failed with {done.returncode}")
    return done.stdout.strip()


if __name__ == "__main__":
    main()
