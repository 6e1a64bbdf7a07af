"""A writable /sys/fs/cgroup: `writable-cgroups.noderesource.dev`, `true`; every other text is false, as in the sample plugin.

The mount that the runtime makes there is replaced by the same one without `ro`. Only where the host has mounted cgroup v2 with
`nsdelegate`: without it a container could change the limits of its own cgroup.
"""

from __future__ import annotations

from koordnri.model import injection
from koordnri.model.errors import NodeError
from koordnri.model.fields import INJECTED_MOUNT, MOUNT
from koordnri_hooks.injection.kind import Injecting, Kind

WHERE = "/sys/fs/cgroup"


def _give(injecting: Injecting, text: str) -> None:
    if text != "true":
        return
    ctx = injecting.ctx
    if not ctx.node.cgroup_nsdelegate:
        problem = f"the host has {WHERE} not mounted as cgroup2 with nsdelegate: it stays read-only in the container"
        raise NodeError(f"annotation {injecting.key}", problem)
    creation = ctx.container.creation
    if creation is None:
        ctx.skip(INJECTED_MOUNT, "the runtime's mount is known at the container's creation only", WHERE)
        return
    mount = next((mount for mount in creation.mounts() if mount.destination == WHERE), None)
    if mount is None:
        raise NodeError(f"annotation {injecting.key}", f"the runtime mounts no {WHERE} into the container")
    if "rw" in mount.options and "ro" not in mount.options:
        return
    options = [*(option for option in mount.options if option not in ("ro", "rw")), "rw"]
    injecting.once("mount", WHERE, INJECTED_MOUNT, MOUNT)
    content = {"destination": WHERE, "source": mount.source, "type": mount.type, "options": options}
    injecting.put(INJECTED_MOUNT, {"mounts": [content]}, f"{mount.type} {','.join(options)}", WHERE)


KIND = Kind(injection.WRITABLE_CGROUPS, (INJECTED_MOUNT,), str, _give)
