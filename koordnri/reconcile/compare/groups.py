"""Changes of resctrl groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from koordnri.chain import Snapshot
from koordnri.model import Pod
from koordnri.model.annotations import RESCTRL_KEY
from koordnri.model.routes import RESCTRL
from koordnri.model.schemata import line
from koordnri.reconcile.compare.rows import Difference
from koordnri.reconcile.owner import names_of_pod
from koordnri.resctrl.plan import WantedGroup, plan


def of_groups(pods: Sequence[Pod], old: Snapshot, new: Snapshot) -> Iterator[Difference]:
    """Changes of the resctrl groups' schemata."""
    resctrl = new.node.resctrl
    if resctrl is None or resctrl.read_only:
        return
    was, becomes = (plan(pods, snapshot.policy, snapshot.node).groups for snapshot in (old, new))
    for group, wanted in {**becomes, **was, **becomes}.items():
        before, after = (_lines_of(groups.get(group)) for groups in (was, becomes))
        owner = {"namespace": "", "pod": ""} if wanted.pod is None else names_of_pod(wanted.pod)
        for resource in dict.fromkeys((*after, *before)):
            if before.get(resource) != after.get(resource):
                yield Difference(
                    container="",
                    field=f"schemata[{resource}]",
                    unit="bits of ways by cache id" if resource.startswith("L") else "bandwidth by cache id",
                    before=before.get(resource),
                    after=after.get(resource),
                    route=RESCTRL,
                    recorded=False,
                    reason=_reason_of(wanted, group in becomes),
                    group=group,
                    **owner,
                )


def _lines_of(wanted: WantedGroup | None) -> dict[str, str]:
    """Resource → its line, as `0=7ff;1=7ff`."""
    lines = {} if wanted is None else wanted.schemata.lines
    return {name: line(name, values).strip().removeprefix(f"{name}:").rstrip(";") for name, values in lines.items()}


def _reason_of(wanted: WantedGroup, stays: bool) -> str:
    if not stays:
        return "the group is not wanted any more"
    return f"resctrlQOS of {wanted.qos}" if wanted.pod is None else f"annotation {RESCTRL_KEY}"
