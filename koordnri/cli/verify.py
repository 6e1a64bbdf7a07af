"""`koordnri verify`: the acceptance test of an installation. Do pods of each class get what policy and annotations say?"""

from __future__ import annotations

import json
import math
import secrets
from pathlib import Path
from typing import Any

import click

from koordnri.chain import ChainError
from koordnri.cli.control import question
from koordnri.cli.options import kubeconfig_option, state_dir_option, timeout_option
from koordnri.cli.verify_expected import Expectations, Expected, expect
from koordnri.cli.verify_judge import Found, expected_text, found_text
from koordnri.cli.verify_pods import SAMPLES, Placement, manifest
from koordnri.cli.verify_rights import NAMESPACE, VerifyError, check_rights
from koordnri.cli.verify_run import Clock, created, interruptible, look
from koordnri.kube import KubeError, PodCalls, connect
from koordnri.policy import DocumentError

FINE, NOT_AS_EXPECTED = 0, 1
"""Exit codes. Who cannot verify exits with 2."""
_SPARE_S = 60
"""Pods live this much longer than they are waited for."""


@click.command()
@click.option(
    "--namespace",
    default=NAMESPACE,
    show_default=True,
    metavar="NAME",
    help="Where the pods are created. It must not be one that the policy leaves alone.",
)
@click.option(
    "--image",
    default="registry.k8s.io/pause:3.10",
    show_default=True,
    help="Of the pods. Its program must not end, and runs as a user other than root. An image that the node has is not pulled.",
)
@timeout_option("The longest wait for the pods.")
@kubeconfig_option
@state_dir_option
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def verify(namespace: str, image: str, timeout_s: float, kubeconfig: Path | None, state_dir: Path, output: str) -> None:
    """Create a pod of each class on this node, and compare what its processes live under with what policy and annotations say.

    The classes are LSR with one exclusive CPU, LS, BE with batch resources, and a Burstable pod without a class. What each should get is
    computed first, as `koordnri explain -f --live` does. What it got is read from the kernel, by the running daemon. The pods are deleted
    at the end, also when the command is interrupted.

    It needs the rights to create, get and delete pods in --namespace.

    Exits with 0 when all is as expected, with 1 when something is not, and with 2 when it cannot be verified: the daemon is not ready, the
    API server cannot be asked, or a right is missing.
    """
    place = Placement(secrets.token_hex(3), namespace, _node(state_dir), image, math.ceil(timeout_s) + _SPARE_S)
    try:
        calls = PodCalls(connect(kubeconfig), namespace)
        results = _verify(calls, place, state_dir, timeout_s)
    except KubeError as error:
        raise VerifyError(str(error)) from None
    if output == "json":
        print(json.dumps(_shape(place, results), indent=2, ensure_ascii=False))
    else:
        for expected, found in results:
            print(line_of(place, expected, found))
    raise SystemExit(NOT_AS_EXPECTED if any(found.problems for _, found in results) else FINE)


def _node(state_dir: Path) -> str:
    status = question(state_dir, "status")
    if not status["ready"]:
        raise VerifyError(f"the daemon is not ready: {'; '.join(status['problems'])}; see koordnri doctor")
    if not status["node"]:
        raise VerifyError("the daemon does not know its node's name: give koordnri run --node-name or NODE_NAME")
    return str(status["node"])


def _verify(calls: PodCalls, place: Placement, state_dir: Path, timeout_s: float) -> list[tuple[Expected, Found]]:
    check_rights(calls, place.namespace, place.name("none"))
    manifests = [manifest(sample, place) for sample in SAMPLES]
    expectations = _expectations(manifests, state_dir)

    def explain(pod: str) -> Any:
        return question(state_dir, "explain", pod=f"{place.namespace}/{pod}")

    with interruptible(), created(calls, place, manifests) as refusals:
        found = look(calls, place, expectations, refusals, explain, timeout_s, Clock())
    return list(zip(expectations.of, found, strict=True))


def _expectations(manifests: list[dict[str, Any]], state_dir: Path) -> Expectations:
    try:
        return expect(zip(SAMPLES, manifests, strict=True), state_dir)
    except (DocumentError, ChainError) as error:
        raise VerifyError(f"what the pods should get cannot be computed: {error}") from None


def _look_further(place: Placement, expected: Expected) -> str:
    return f"koordnri why {place.namespace}/{place.name(expected.sample.title)}"


def line_of(place: Placement, expected: Expected, found: Found) -> str:
    """One class as it is printed."""
    verdict = "NOT OK" if found.problems else "ok    "
    values = f"expected {expected_text(expected)}; found {found_text(found)}"
    return f"{verdict} {expected.sample.title:5} {values}; more: {_look_further(place, expected)}"


def _shape(place: Placement, results: list[tuple[Expected, Found]]) -> dict[str, Any]:
    classes = [
        {
            "class": expected.sample.title,
            "pod": place.name(expected.sample.title),
            "ok": not found.problems,
            "expected": {field.name: value for field, value in expected.values.items()},
            "exclusiveCPUs": expected.exclusive,
            "whyShared": expected.why_shared,
            "found": {field.name: value for field, value in found.values.items()},
            "notes": list(found.notes),
            "problems": list(found.problems),
            "more": _look_further(place, expected),
        }
        for expected, found in results
    ]
    return {"node": place.node, "namespace": place.namespace, "classes": classes}
