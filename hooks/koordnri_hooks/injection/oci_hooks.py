"""Hooks of the OCI runtime from the host's hooks.d directories, as podman and CRI-O inject them.

No annotation of its own: the files say for which containers they are, by command, mounts and annotations (those of the container, and the
pod's before them). The trust rule says whose containers are looked at; nothing is refused, since nobody has asked.
"""

from __future__ import annotations

from typing import Any

from koordnri.hook import ContainerContext
from koordnri.model import injection
from koordnri.model.fields import OCI_HOOK, Part
from koordnri.model.oci_hook import STAGES, OCIHook
from koordnri.policy.trust import INJECTION, entitled

UNKNOWN = "the files decide by the container's command and mounts, which are known at its creation only"


def decide(ctx: ContainerContext) -> None:
    """Set the hooks that match."""
    creation = ctx.container.creation
    if creation is None:
        if ctx.node.oci_hooks and _is_entitled(ctx):
            ctx.skip(injection.OCI_HOOKS.name, UNKNOWN)
        return
    # The usual rule lists namespaces: `entitled` says the same of it, with a reason that nobody asks for here.
    if ctx.pod.namespace not in ctx.policy.trust.injection.oci_hooks.namespaces and not _is_entitled(ctx):
        return
    for hook in ctx.node.oci_hooks.matching(ctx.pod.annotations, creation):
        _put(ctx, hook)


def _put(ctx: ContainerContext, hook: OCIHook) -> None:
    entry: dict[str, Any] = {"path": hook.path}
    if hook.args:
        entry["args"] = hook.args
    if hook.env:
        entry["env"] = hook.env
    if hook.timeout_s is not None:
        entry["timeout"] = {"value": hook.timeout_s}
    for stage in dict.fromkeys(hook.stages):
        content = {"hooks": {STAGES[stage]: [entry]}}
        text = " ".join(hook.args or (hook.path,))
        ctx.set(OCI_HOOK, Part(text, content), f"file {hook.name} of the host's hooks.d", f"{stage} {hook.name}")


def _is_entitled(ctx: ContainerContext) -> bool:
    """Whether the trust rule lists the pod. Not kept: the pod's spec or its namespace's labels may become known between two containers."""
    trust = ctx.policy.trust
    return entitled(ctx.pod, trust.injection.oci_hooks, trust, INJECTION + injection.OCI_HOOKS.name)[0] == "believed"
