"""`koordnri explain`: what a running pod has and why, by the daemon; or what the pods of a file would get, by no daemon at all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from koordnri.chain import Chain, ChainError, load_hooks
from koordnri.cli.control import question
from koordnri.cli.explanation import Explanation, create_pods, explain_pod
from koordnri.cli.inputs import (
    BAD_INPUT,
    LIVE_NODE,
    Inputs,
    load_inputs,
    say_of_creation,
)
from koordnri.cli.live import ask_daemon, held_beside
from koordnri.cli.options import node_option, pods_option, policy_option, state_dir_option
from koordnri.cli.shapes import print_shape, print_shapes
from koordnri.cpus.allocator import Allocator
from koordnri.model import Decision, Event
from koordnri.model.class_cgroup import OuterCgroup
from koordnri.model.resources import NOTHING
from koordnri.reconcile.host_applications import decide_outside


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
@click.option(
    "--live", is_flag=True, help="With -f: take from the daemon of this node what --policy and --node do not describe."
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
    live: bool,
    state_dir: Path,
    output: str,
) -> None:
    """Print why containers have the values that they have: each with the hook that set it and the reason.

    With NAMESPACE/POD: a pod that runs on this node, as its daemon knows it. Each field of the pod and its containers: what kubelet asked,
    what koordnri decided, what the kernel has now, and whether the runtime's stored spec has it. Then whose CPUs it runs on, and what
    would change these values.

    With -f: what the pods of a manifest would get. No daemon is asked; but with --live, the one of this node is, for its policy, its node
    and the exclusive CPUs of pods that run there and are not in the file.
    The pods are created in the order of the file, which decides who gets exclusive CPUs; shown is the state once all exist.
    Pods that have ended (Succeeded or Failed) hold nothing, and are skipped.

    The table ends with the cgroups of the QoS classes, as if these were all pods of the node.

    Exits with 2 when a file cannot be used (standard error has every mistake with its path), the daemon cannot be asked, or the pod is
    not here.
    """
    if (pod is None) == (pods_path is None):
        raise click.UsageError("expected either NAMESPACE/POD, a pod that runs on this node, or -f with manifests")
    if pod is not None:
        if policy_path or node_path or event or live:
            raise click.UsageError("--policy, --node, --event and --live belong to -f; the daemon knows its own")
        _print_running(_ask(state_dir, pod, container), output)
    elif pods_path is not None:
        inputs = load_inputs(pods_path, policy_path, node_path, ask_daemon(state_dir) if live else None)
        allocator = Allocator()
        if live and node_path is None:
            node_path = LIVE_NODE
            allocator = held_beside(state_dir, {(m.metadata.namespace, m.metadata.name) for m in inputs.manifests})
        _explain_file(inputs, container, node_path, allocator, Event(event or Event.CREATE), output)


def _ask(state_dir: Path, pod: str, container: str | None) -> Any:
    return question(state_dir, "explain", pod=pod, **({} if container is None else {"container": container}))


def _print_running(shape: Any, output: str) -> None:
    if output != "table":
        print_shape(shape, output)
        return
    from koordnri.cli.running_table import print_running  # rich is slow to import, and only tables need it

    print_running(shape)


def _explain_file(
    inputs: Inputs, container: str | None, node_path: str | None, allocator: Allocator, event: Event, output: str
) -> None:
    if container is not None:
        _check_container(inputs, container)
    try:
        chain = Chain(load_hooks())
    except ChainError as error:
        raise click.ClickException(str(error)) from None
    pods, creation = create_pods(inputs.pods, inputs.snapshot, allocator, event)
    say_of_creation(creation, inputs.snapshot, node_path)
    only = None if container is None else (container,)
    wanted = [one for one in pods if container is None or any(c.name == container for c in one[1])]
    # Decided when their turn comes: this may run beside the daemon, under its container's memory limit.
    explanations = (explain_pod(chain, *one, creation, event, only) for one in wanted)
    if output == "table":
        # For these pods only: a file does not say which other pods the node has.
        _print_tables(
            explanations,
            lambda: decide_outside(chain, [pod for pod, _ in wanted], creation.snapshot, lambda _: NOTHING),
        )
    elif inputs.single:
        print_shape(next(explanations).as_json(), output)
    else:
        print_shapes((one.as_json() for one in explanations), output)


def _check_container(inputs: Inputs, name: str) -> None:
    names = [(m.metadata, [c.name for c in m.spec.all_containers]) for m in inputs.manifests]
    if not any(name in containers for _, containers in names):
        there = ", ".join(f"{of.namespace}/{of.name}: {', '.join(containers)}" for of, containers in names)
        print(f"--container: no container is named {name}; there are {there}", file=sys.stderr)
        raise SystemExit(BAD_INPUT)


def _print_tables(
    explanations: Iterable[Explanation], classes: Callable[[], list[tuple[OuterCgroup, Decision]]]
) -> None:
    from koordnri.cli import decision_table as tables  # as above

    out = tables.console()
    for explanation in explanations:
        tables.print_explanation(out, explanation)
    tables.print_classes(out, ((cgroup.name, decision) for cgroup, decision in classes()))
