"""`koordnri explain`: what a pod would get, and why. No daemon, no runtime, no API server."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
import yaml

from koordnri.chain import Chain, ChainError, load_hooks
from koordnri.cli.explanation import Explanation, create_pods, explain_pod
from koordnri.cli.inputs import (
    BAD_INPUT,
    Inputs,
    load_inputs,
    node_option,
    pods_option,
    policy_option,
    say_of_creation,
)
from koordnri.cpus.allocator import Allocator
from koordnri.model import Decision, Event
from koordnri.model.class_cgroup import ClassCgroup
from koordnri.reconcile.classes import decide_classes


@click.command()
@pods_option
@click.option("--container", "container", metavar="NAME", help="Only the containers of this name.")
@policy_option
@node_option
@click.option(
    "--event",
    type=click.Choice([e.value for e in Event]),
    default=Event.CREATE.value,
    show_default=True,
    help="Asked while the container is created, when kubelet resizes it, or when it runs already as koordnri starts.",
)
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
def explain(
    pods_path: str, container: str | None, policy_path: str | None, node_path: str | None, event: str, output: str
) -> None:
    """Print what koordnri decides for the pods of a manifest: each value with the hook that set it and the reason.

    The pods are created in the order of the file, which decides who gets exclusive CPUs; shown is the state once all exist.
    Pods that have ended (Succeeded or Failed) hold nothing, and are skipped.

    The table ends with the cgroups of the QoS classes, as if these were all pods of the node.

    Exits with 2 when a file cannot be used; standard error has every mistake with its path.
    """
    inputs = load_inputs(pods_path, policy_path, node_path)
    wanted = inputs.pods if container is None else _with_container(inputs, container)
    try:
        chain = Chain(load_hooks())
    except ChainError as error:
        raise click.ClickException(str(error)) from None
    pods, creation = create_pods(inputs.pods, inputs.snapshot, Allocator(), Event(event))
    say_of_creation(creation, inputs.snapshot, node_path)
    names = {pod.sandbox.id for pod in wanted}
    only = None if container is None else (container,)
    explanations = [explain_pod(chain, *one, creation, Event(event), only) for one in pods if one[0].id in names]
    if output == "table":
        # For these pods only: a file does not say which other pods the node has.
        _print_tables(explanations, decide_classes(chain, [e.pod for e in explanations], creation.snapshot))
        return
    shapes: Any = [e.as_json() for e in explanations]
    shape = shapes[0] if inputs.single else shapes
    if output == "json":
        print(json.dumps(shape, indent=2, ensure_ascii=False))
    else:
        print(yaml.safe_dump(shape, sort_keys=False, allow_unicode=True, width=120), end="")


def _with_container(inputs: Inputs, name: str) -> list[Any]:
    wanted = [pod for pod in inputs.pods if any(c.name == name for c in pod.containers)]
    if not wanted:
        names = ", ".join(
            f"{p.sandbox.namespace}/{p.sandbox.name}: {', '.join(c.name for c in p.containers)}" for p in inputs.pods
        )
        print(f"--container: no container is named {name}; there are {names}", file=sys.stderr)
        raise SystemExit(BAD_INPUT)
    return wanted


def _print_tables(explanations: list[Explanation], classes: list[tuple[ClassCgroup, Decision]]) -> None:
    from koordnri.cli import decision_table as tables  # rich is slow to import, and only tables need it

    out = tables.console()
    for explanation in explanations:
        tables.print_explanation(out, explanation)
    tables.print_classes(out, ((cgroup.name, decision) for cgroup, decision in classes))
