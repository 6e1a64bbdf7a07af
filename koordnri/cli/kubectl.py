"""`kubectl koordnri`: runs a command in the daemon's pod of a node. Installed as `kubectl-koordnri`, which kubectl finds on the PATH.

It needs kubectl and nothing of koordnri, so that it starts at once.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence

_LABEL = "app.kubernetes.io/name=koordnri"
_CONTAINER = "koordnri"
_OF_PODS = ("explain", "why", "release")
"""Commands that name a pod of the cluster: NAMESPACE/NAME"""
_POD = re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9.-]*")
_USAGE = """kubectl koordnri [--node NODE] [-n NAMESPACE] [--context NAME] [--kubeconfig FILE] COMMAND [ARGUMENT…]

Runs `koordnri COMMAND` in the daemon's pod of NODE. Without --node it is the node of the pod that explain, why or release name, or the
only node with a daemon.

    kubectl koordnri explain shop/web-0
    kubectl koordnri --node worker-1 status
    kubectl koordnri --node worker-1 diff --live --policy - < new.yaml
    kubectl koordnri --node worker-1 report -o - > report.tar.gz
"""


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
    parser.add_argument("--node")
    parser.add_argument("-n", "--namespace", help="of the daemon's pods; default: wherever they are")
    parser.add_argument("--context")
    parser.add_argument("--kubeconfig")
    parser.add_argument("command")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    options = {"context": given.context, "kubeconfig": given.kubeconfig}
    kubectl = ["kubectl", *(f"--{name}={value}" for name, value in options.items() if value)]
    node = given.node or _node_of(kubectl, given.command, given.arguments)
    namespace, pod = _daemon(kubectl, node, given.namespace)
    terminal = ["-t"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    execute = ["exec", "-i", *terminal, f"--namespace={namespace}", pod, f"--container={_CONTAINER}", "--"]
    command = [*kubectl, *execute, "koordnri", given.command, *given.arguments]
    return subprocess.run(command, check=False).returncode  # noqa: S603  # what the user typed, and no shell


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


def _daemon(kubectl: Sequence[str], node: str, namespace: str | None) -> tuple[str, str]:
    """Namespace and name of the daemon's running pod."""
    where = [f"--namespace={namespace}"] if namespace else ["--all-namespaces"]
    fields = "status.phase=Running" + (f",spec.nodeName={node}" if node else "")
    shape = '{range .items[*]}{.metadata.namespace}{" "}{.metadata.name}{" "}{.spec.nodeName}{"\\n"}{end}'
    select = [f"--selector={_LABEL}", f"--field-selector={fields}", f"--output=jsonpath={shape}"]
    pods = [line.split() for line in _ask(kubectl, "get", "pods", *where, *select).splitlines()]
    if not pods:
        there = f"on node {node}" if node else "in this cluster"
        raise KubectlError(f"no koordnri daemon runs {there}; see kubectl get pods -A -l {_LABEL} -o wide")
    if len(pods) > 1:
        nodes = sorted(pod[2] for pod in pods)
        shown = ", ".join(nodes[:10]) + ("…" if len(nodes) > 10 else "")
        raise KubectlError(f"expected --node NODE; daemons run on {shown}")
    return pods[0][0], pods[0][1]


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
