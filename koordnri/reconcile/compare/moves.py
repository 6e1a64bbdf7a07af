"""Fields that change from one decision to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from koordnri.chain import Snapshot
from koordnri.host.cgroup.spelling import form
from koordnri.model import Container, Decision, Field, NodeState, Setting
from koordnri.model.difference import baseline_value
from koordnri.reconcile.compare.running import Running

Value = Callable[[Field, str], Any]
"""(field, its name in decisions) → value"""


_Target = tuple[Field, str]
"""A field with its disk or key: two names may stand for one disk."""


class Move(NamedTuple):
    """A field that would change."""

    name: str
    setting: Setting
    """the new setting; the old one if there is no new one"""
    before: Any
    after: Any
    reason: str


def moves(
    old: Decision, new: Decision, snapshot: Snapshot, baseline: Value, untouched: Value | None = None
) -> Iterator[Move]:
    """Fields whose values differ under the two decisions.

    baseline    value that a field goes back to when it is not decided any more
    untouched   value of a field that was not decided so far; None: the baseline

    A hook that failed has decided nothing, so its fields stay as they are.
    """
    was, becomes = _by_target(old, snapshot.node), _by_target(new, snapshot.node)
    for target in dict.fromkeys((*becomes, *was)):
        before, after = was.get(target), becomes.get(target)
        if after is not None:
            name, setting = after
            value, reason = setting.value, setting.reason
        else:
            name, setting = was[target]
            if setting.field in new.undecided or _is_gone(setting, snapshot.node):
                continue
            value, reason = baseline(setting.field, name), f"back to the baseline: {_why(name, setting, new, snapshot)}"
        field, had = setting.field, None
        if before is not None:
            had = before[1].value
        elif field not in old.undecided:
            had = (untouched or baseline)(field, name)
        if had is None or value is None or not _same(field, had, value):
            yield Move(name, setting, had, value, reason)


def _by_target(decision: Decision, node: NodeState) -> dict[_Target, tuple[str, Setting]]:
    disks = node.block_devices or {}
    return {(s.field, disks.get(s.key, s.key)): (name, s) for name, s in decision.settings.items()}


def _is_gone(setting: Setting, node: NodeState) -> bool:
    """Whether the disk has vanished, and with it its limits."""
    return setting.field.of_disk and node.block_devices is not None and setting.key not in node.block_devices


def _why(name: str, setting: Setting, new: Decision, snapshot: Snapshot) -> str:
    if reason := new.skipped.get(name) or new.skipped.get(setting.hook):
        return reason
    if snapshot.policy.hook_mode(setting.hook) == "observe":
        return f"hook {setting.hook} is only observed"
    return "no longer decided"


def _same(field: Field, a: Any, b: Any) -> bool:
    """Whether two values are equal. A third party's hook may give another type than the baseline's."""
    try:
        return field.same(a, b)
    except TypeError:
        return False


def reads_alike(move: Move, node: NodeState) -> bool:
    """Whether a file would read the same for both values: one may come from a file, rounded to pages or made from a weight."""
    spelled = form(move.setting.field, node.cgroup_version)
    if spelled is None or move.before is None or move.after is None:
        return False
    try:
        return spelled.same(move.before, move.after) or spelled.same(move.after, move.before)
    except (TypeError, ValueError):  # see _same; a value that no file accepts differs from every file's value
        return False


def asked(container: Container, node: NodeState, field: Field, _: str) -> Any:
    return baseline_value(field, container.baseline, node)


def baseline_of_pod(running: Running, node: NodeState) -> Value:
    def baseline(field: Field, name: str) -> Any:
        found = running.files.before_us(field, name, node)
        return baseline_value(field, running.pod.resources, node) if found is None else found

    return baseline
