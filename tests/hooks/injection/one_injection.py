"""Runs the hook `injection` on a container of a pod with annotations, of which everybody is believed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from koordnri_hooks.injection.hook import InjectionHook

from koordnri.hook import Hook
from koordnri.model import Event, Field, NodeState
from koordnri.model.container import Creation, MountLike
from koordnri.model.decision import Decision
from koordnri.model.injection import ALL
from koordnri.session.encode import put_adjustment
from koordnri.wire import api_pb2 as api
from koordnri.wire.versions import Version
from tests.hooks.one_hook import NODE, context, faults, run
from tests.support.pods import pod
from tests.support.policies import policy_of

EVERYBODY = policy_of(koordnri_config={"trust": {"injection": {kind.name: {"namespaces": ["shop"]} for kind in ALL}}})


def decide(
    annotations: dict[str, Any], node: NodeState = NODE, before: Iterable[Hook] = (), event: Event = Event.CREATE
) -> Decision:
    """The decision for the container `main`."""
    return run(InjectionHook(), context(pod(annotations=annotations), node=node, policy=EVERYBODY, event=event), before)


def other(field: Field, value: Any, key: str) -> Hook:
    """A hook before it that sets one thing."""
    members = {
        "name": "gpu",
        "order": 60,
        "owns": (field,),
        "decide": lambda self, ctx: ctx.set(field, value, "scheduler", key),
    }
    return type("Other", (Hook,), members)()


def created_with(
    args: Sequence[str] = (), annotations: Mapping[str, str] | None = None, mounts: Sequence[MountLike] = ()
) -> Creation:
    """What a container is created with."""
    return Creation(api.Container(args=args, annotations=annotations), b"", lambda _request: mounts)


def sent(decision: Decision) -> api.ContainerAdjustment:
    """What the runtime gets of it."""
    assert not decision.errors, decision.errors
    adjust = api.ContainerAdjustment()
    put_adjustment(adjust, decision.settings.values(), NODE, Version(0, 12, 2))
    return adjust


def shown(decision: Decision) -> dict[str, str]:
    """Field → its value as people see it."""
    return {name: setting.value.text for name, setting in decision.settings.items()}


def mistake(key: str, value: Any) -> str:
    """The message about an annotation that gives nothing."""
    decision = decide({key: value})
    assert not decision.settings
    ((fault, message),) = faults(decision)
    assert fault == "pod"
    start = f"annotation {key}: "
    assert message.startswith(start)
    return message.removeprefix(start)
