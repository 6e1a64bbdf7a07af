"""`koordnri explain`: what a running pod has and why, by the daemon; or what the pods of a file would get, by no daemon at all."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import yaml

from koordnri.chain import Chain, ChainError, load_hooks
from koordnri.cli.control import question, state_dir_option
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
@click.argument("pod", metavar="[NAMESPACE/POD]", required=False)
@pods_option(required=False)
@click.option("--container", "container", metavar="NAME", help="Only the containers of this name.")
@policy_option
@node_option
@click.option(
    "--event",
    type=click.Choice([e.value for e in Event]),
    help="With -f: asked while the container is created (the default), when kubelet resizes it, or when it runs already as koordnri "
    "starts.",
)
@state_dir_option
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
def explain(
    pod: str | None,
    pods_path: str | None,
    container: str | None,
    policy_path: str | None,
    node_path: str | None,
    event: str | None,
    state_dir: Path,
    output: str,
) -> None:
    """Print why containers have the values that they have: each with the hook that set it and the reason.

    With NAMESPACE/POD: a pod that runs on this node, as its daemon knows it. Each field of the pod and its containers: what kubelet asked,
    what koordnri decided, what the kernel has now, and whether the runtime's stored spec has it. Then whose CPUs it runs on, and what
    would change these values.

    With -f: what the pods of a manifest would get; no daemon is asked.
    The pods are created in the order of the file, which decides who gets exclusive CPUs; shown is the state once all exist.
    Pods that have ended (Succeeded or Failed) hold nothing, and are skipped.

    The table ends with the cgroups of the QoS classes, as if these were all pods of the node.

    Exits with 2 when a file cannot be used (standard error has every mistake with its path), the daemon cannot be asked, or the pod is
    not here.
    """
    if (pod is None) == (pods_path is None):
        raise click.UsageError("expected either NAMESPACE/POD, a pod that runs on this node, or -f with manifests")
    if pod is not None:
        if policy_path or node_path or event:
            raise click.UsageError("--policy, --node and --event belong to -f; the daemon knows its own")
        _print_running(_ask(state_dir, pod, container), output)
    elif pods_path is not None:
        _explain_file(pods_path, container, policy_path, node_path, Event(event or Event.CREATE), output)


def _ask(state_dir: Path, pod: str, container: str | None) -> Any:
    return question(state_dir, "explain", pod=pod, **({} if container is None else {"container": container}))


def _print_running(shape: Any, output: str) -> None:
    if output == "json":
        print(json.dumps(shape, indent=2, ensure_ascii=False))
    elif output == "yaml":
        print(yaml.safe_dump(shape, sort_keys=False, allow_unicode=True, width=120), end="")
    else:
        from koordnri.cli.running_table import print_running  # rich is slow to import, and only tables need it

        print_running(shape)


def _explain_file(
    pods_path: str, container: str | None, policy_path: str | None, node_path: str | None, event: Event, output: str
) -> None:
    inputs = load_inputs(pods_path, policy_path, node_path)
    wanted = inputs.pods if container is None else _with_container(inputs, container)
    try:
        chain = Chain(load_hooks())
    except ChainError as error:
        raise click.ClickException(str(error)) from None
    pods, creation = create_pods(inputs.pods, inputs.snapshot, Allocator(), event)
    say_of_creation(creation, inputs.snapshot, node_path)
    names = {pod.sandbox.id for pod in wanted}
    only = None if container is None else (container,)
    explanations = [explain_pod(chain, *one, creation, event, only) for one in pods if one[0].id in names]
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
