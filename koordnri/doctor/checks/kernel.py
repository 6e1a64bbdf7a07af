"""What the kernel offers: resctrl, pressure stall information, inotify."""

from __future__ import annotations

from collections.abc import Iterator

from koordnri.doctor.codes import Finding
from koordnri.doctor.facts import Facts

_ENOUGH_WATCHES = 8192
"""250 pods with 500 containers need 750, on cgroup v1 one per controller; kubelet and others need theirs."""
_GROUPS = {"LSR", "LS", "BE"}
"""Those that a policy may make for the QoS classes"""


def check(facts: Facts) -> Iterator[Finding]:
    """Everything about the kernel."""
    kernel = facts.kernel
    if kernel.pressure is False:
        yield Finding(
            "KN0504",
            "/proc/pressure/cpu",
            "it is not there, or switched off: nothing shows how long tasks wait for CPU, memory and disks",
            "boot with the kernel parameter psi=1 (a kernel with CONFIG_PSI)",
        )
    if kernel.inotify_watches is not None and kernel.inotify_watches < _ENOUGH_WATCHES:
        yield Finding(
            "KN0505",
            "/proc/sys/fs/inotify/max_user_watches",
            f"{kernel.inotify_watches} watches; koordnri takes one per pod and container (on cgroup v1 one per controller), other programs "
            "take theirs. Without a watch, a value that somebody overwrites comes back after 10 s, not at once",
            "echo 'fs.inotify.max_user_watches = 65536' > /etc/sysctl.d/90-koordnri.conf && sysctl --system",
        )
    yield from _resctrl(facts)


def _resctrl(facts: Facts) -> Iterator[Finding]:
    kernel = facts.kernel
    if not kernel.resctrl_supported:
        return  # this CPU or kernel has none, and nothing can be done about it
    if not kernel.resctrl_mounted:
        yield Finding(
            "KN0501",
            "/sys/fs/resctrl",
            "this kernel can divide cache or memory bandwidth, and resctrl is not mounted: `resctrlQOS` of a policy has no effect",
            "if you want it: echo 'resctrl /sys/fs/resctrl resctrl defaults 0 0' >> /etc/fstab && mount /sys/fs/resctrl",
        )
        return
    if not kernel.resctrl_writable:
        yield Finding(
            "KN0502",
            "/sys/fs/resctrl",
            "koordnri may not make groups there, nor move threads; new containers join groups that exist",
            "if the policy has `resctrlQOS`: chart --set resctrl.enabled=true, or in deploy/ `kustomize edit add component resctrl`",
        )
    resctrl = kernel.resctrl
    if resctrl is None or len(resctrl.groups) + 1 < resctrl.num_closids:  # the default group takes one, too
        return
    if missing := ", ".join(sorted(_GROUPS - resctrl.groups)):
        yield Finding(
            "KN0503",
            "/sys/fs/resctrl",
            f"all {resctrl.num_closids} classes of service are taken; there is none for the groups {missing}",
            f"remove groups that nobody uses: rmdir /sys/fs/resctrl/NAME; there are {', '.join(sorted(resctrl.groups))}. "
            "Without the mount option cdp there are twice as many classes",
        )
