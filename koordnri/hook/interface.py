"""The interface of a hook.

A hook owns a set of fields. It is pure: no I/O, no clock, no globals. It reads the context and answers by `ctx.set(field, value, reason)`
or `ctx.skip(field, reason)`. Third parties' hooks are found through the entry-point group `koordnri.hooks`, exactly as ours are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from koordnri.hook.context import ClassContext, ContainerContext, HostContext, PodContext, RootContext
from koordnri.model.fields import Field

if TYPE_CHECKING:  # needed for types only
    from koordnri.policy import Policy


class Hook:
    """Implement only the levels whose fields the hook decides; the chain calls no others.

    Raise AnnotationError (or let `annotations.X.of(pod)` raise it) for a mistake of the pod's owner: it costs this hook's fields on that
    container, and the pod gets an Event. Any other exception is counted as a bug of the hook.
    """

    name: ClassVar[str]
    """as in metrics, policy (`koordnri-config.hooks.<name>`) and decisions"""
    order: ClassVar[int]
    """place in the chain, ascending and unique. Ours are 10, 20 … 70"""
    owns: ClassVar[tuple[Field, ...]]
    """the fields that this hook, and no other, may set"""

    def has_work(self, policy: Policy) -> bool:
        """Whether the hook may decide anything under a policy; asked once per policy. If not, the chain leaves it out."""
        return True

    def decide(self, ctx: ContainerContext) -> None:
        """Decide the fields of one container."""

    def decide_pod(self, ctx: PodContext) -> None:
        """Decide the fields of the pod's own cgroup."""

    def decide_class(self, ctx: ClassContext) -> None:
        """Decide the fields of a QoS class's cgroup."""

    def decide_root(self, ctx: RootContext) -> None:
        """Decide the fields of the root of all cgroups: those of whole disks, which exist only there."""

    def decide_host(self, ctx: HostContext) -> None:
        """Decide the fields of the cgroup of an application outside of pods (`host-application-config`)."""
