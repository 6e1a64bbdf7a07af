"""The CPU's model, and whether it may run above its base frequency: normalisation ratios are listed by these."""

from __future__ import annotations

from koordnri.host.files import HostFiles

_NO_TURBO = "sys/devices/system/cpu/intel_pstate/no_turbo"
_BOOST = "sys/devices/system/cpu/cpufreq/boost"


def read_cpu_model(files: HostFiles) -> str:
    """`model name` of the first CPU in /proc/cpuinfo; "" when there is none (other architectures name it differently)."""
    for line in (files.text("proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return ""


def read_turbo(files: HostFiles) -> bool:
    """Whether turbo (Intel) or boost (AMD, ACPI) is on; False if the kernel has no such switch, as in most VMs."""
    no_turbo = files.text(_NO_TURBO)
    if no_turbo is not None:
        return no_turbo == "0"
    return files.text(_BOOST) == "1"
