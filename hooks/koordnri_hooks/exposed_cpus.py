"""Shows a container which CPUs are exclusively its own, where the policy asks for it (`hooks.cpuset.expose`).

    env    the variable KOORDNRI_EXCLUSIVE_CPUS, such as `2-3`, of containers that have some when they are created
    file   /run/koordnri/exclusive-cpus, read-only: the same list, an empty line while there are none. It follows when CPUs are given later,
           or change. Of containers that have some, and of all LSE and LSR containers, which may get some later

Set at the creation only: a container that runs gets neither, and keeps what it has. Source: none, this is ours.
"""

from __future__ import annotations

from koordnri.hook import ContainerContext
from koordnri.model import Mount, QoSClass
from koordnri.model.fields import CPU_CPUS, CPUS_ENV, CPUS_FILE

VARIABLE = "KOORDNRI_EXCLUSIVE_CPUS"
PLACE = "/run/koordnri"
_OPTIONS = ("bind", "ro", "nosuid", "nodev", "noexec")
_MAY_GET_SOME = (QoSClass.LSE, QoSClass.LSR)


def expose_cpus(ctx: ContainerContext) -> None:
    """Set the variable, or the mount. The container's CPUs are decided."""
    if ctx.policy.cpuset.expose == "env":
        if ctx.cpus_pinned:
            ctx.set(CPUS_ENV, ctx.value(CPU_CPUS), "its exclusive CPUs (expose: env)", VARIABLE)
    elif ctx.cpus_pinned or ctx.pod.qos in _MAY_GET_SOME:
        source = f"{ctx.node.exposed_directory}/{ctx.container.id}"
        ctx.set(CPUS_FILE, Mount(source, options=_OPTIONS), "the file of its exclusive CPUs (expose: file)", PLACE)
