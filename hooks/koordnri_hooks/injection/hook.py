"""The hook `injection`: what pods ask by the annotations of NRI's sample plugins. Everything is set at creation, and never later.

Each kind has its own file beside this one, its own fields, and its own trust rule (`koordnri-config.trust.injection`). The rule is the
switch, too: a kind for which nobody is listed is off. A mistake in an annotation costs that kind on that container; the others are given.

Deviations from the sample plugins: by default a mistake does not fail the container (`failurePolicy: fail` does that), a value that a
runtime would refuse is named here, and YAML has no aliases.

It comes after all other hooks, for a device or mount that one of them sets must not be set twice: runtimes refuse that.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from koordnri.hook import ContainerContext, Hook
from koordnri.model import AnnotationError
from koordnri.model.errors import NodeError
from koordnri.model.fields import OCI_HOOK
from koordnri.model.injection import OCI_HOOKS, asked_by
from koordnri_hooks.injection import (
    cdi_devices,
    container_annotations,
    devices,
    environment,
    io_priority,
    memory_policy,
    mounts,
    network_devices,
    oci_hooks,
    rdt,
    scheduling_policy,
    sysctl,
    ulimits,
    writable_cgroups,
)
from koordnri_hooks.injection.kind import Kind

if TYPE_CHECKING:  # a hook reads the policy that it gets, and imports nothing from that room
    from koordnri.policy import Policy

KINDS = (
    devices.KIND,
    cdi_devices.KIND,
    mounts.KIND,
    ulimits.KIND,
    io_priority.KIND,
    scheduling_policy.KIND,
    sysctl.KIND,
    memory_policy.KIND,
    network_devices.KIND,
    *rdt.KINDS,
    writable_cgroups.KIND,
    environment.KIND,
    container_annotations.KIND,
)
_TOGETHER = tuple((name, tuple(kinds)) for name, kinds in groupby(KINDS, lambda kind: kind.injection.name))
"""(key of the trust rule, kinds that it is about)"""


class InjectionHook(Hook):
    """All kinds; the module describes it."""

    name = "injection"
    order = 70
    owns = (*dict.fromkeys(field for kind in KINDS for field in kind.owns), OCI_HOOK)

    def has_work(self, policy: Policy) -> bool:
        return bool(policy.injections)

    def decide(self, ctx: ContainerContext) -> None:
        listed = ctx.policy.injections
        if OCI_HOOKS.name in listed:
            oci_hooks.decide(ctx)
        asked = asked_by(ctx.pod)
        if not asked:
            return
        for name, kinds in _TOGETHER:
            if name in asked and name in listed:
                _give(ctx, kinds)


def _give(ctx: ContainerContext, kinds: Sequence[Kind]) -> None:
    """Give what kinds that are trusted together ask for. A mistake costs all of them, and nothing else."""
    before = frozenset(ctx.settings)
    try:
        for kind in kinds:
            kind.decide(ctx)
    except (AnnotationError, NodeError) as error:
        for name in ctx.settings.keys() - before:
            del ctx.settings[name]
        ctx.error(error)
