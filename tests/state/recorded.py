"""Decisions, passes and refusals for the history."""

from __future__ import annotations

from typing import Any

import msgspec

from koordnri.chain import Snapshot
from koordnri.model import Container, Decision, NodeState, Pod, Resources, Setting, fields
from koordnri.policy import DEFAULT_POLICY
from koordnri.state.causes import FieldPlace, PassDone, Written
from koordnri.state.history import History

POD = Pod("p1", "uid-1", "shop", "web")
ASKED = Resources(cpu_shares=512, cpu_quota=50_000, cpu_period=100_000)
SNAPSHOT = Snapshot(msgspec.structs.replace(DEFAULT_POLICY, revision="r1"), NodeState(name="n"))
NEXT = Snapshot(msgspec.structs.replace(DEFAULT_POLICY, revision="r2"), NodeState(name="n"))


def decision(route: str = "adjust", **values: Any) -> Decision:
    """Field, with _ for its dot → value."""
    settings = {}
    for name, value in values.items():
        field = next(f for f in fields.ALL if f.name == name.replace("_", ".", 1))
        settings[field.name] = Setting(field, "", value, "a_hook", "as an example", route)
    return Decision(settings)


def container(stored: Resources | None = None, name: str = "main") -> Container:
    return Container(f"id-{name}", name, POD.id, ASKED, stored)


def written(name: str, before: Any, after: Any, place: str = "main", **more: Any) -> Written:
    owner = f"id-{place}" if place else POD.id
    return Written(owner, FieldPlace(POD, "", place, name), before, after, more.pop("restores", False), **more)


def done(*files: Written, trigger: str = "change", was: Snapshot | None = SNAPSHOT, now: Snapshot = NEXT) -> PassDone:
    return PassDone(trigger, was, now, files, {(POD.id, "main"): decision("reply", cpu_quota=-1)})


def seen(history: History) -> list[tuple[Any, ...]]:
    return [(c.container, c.field, c.old, c.new, c.cause, c.detail) for c in history.of_pod("shop", "web")]
