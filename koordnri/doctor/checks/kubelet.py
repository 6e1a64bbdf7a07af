"""kubelet's managers and cgroup driver."""

from __future__ import annotations

from collections.abc import Iterator

from koordnri.doctor.codes import Finding
from koordnri.doctor.facts import CONTAINERD, CRIO, Facts
from koordnri.wire.versions import Version, parse_version

_STATE = "/var/lib/kubelet/cpu_manager_state"
_NAMES = {True: "systemd", False: "cgroupfs"}
_REPORTS_DRIVER = {CONTAINERD: Version(2, 0, 0), CRIO: Version(1, 28, 0)}
"""From this version on the runtime reports its cgroup driver to kubelet, and newer kubelets follow."""


def check(facts: Facts) -> Iterator[Finding]:
    """Everything about kubelet."""
    kubelet = facts.kubelet
    if kubelet.cpu_policy == "static":
        yield Finding(
            "KN0301",
            kubelet.config_path,
            "kubelet chooses exclusive CPUs for Guaranteed pods; so koordnri chooses none for LSE and LSR pods",
            f"nothing, if that is meant. For koordnri to choose: drain the node, set `cpuManagerPolicy: none` in {kubelet.config_path}, "
            f"stop kubelet, remove {kubelet.state_dir}/cpu_manager_state, start kubelet, and delete the node's koordnri pod",
        )
    if (kubelet.memory_policy or "").lower() == "static":
        yield Finding(
            "KN0302",
            kubelet.config_path,
            "kubelet binds the memory of Guaranteed pods to NUMA nodes (cpuset.mems), as `memoryBind: true` of koordnri does",
            "leave koordnri-config.hooks.cpuset.memoryBind at false, its default",
        )
    if kubelet.cgroups_per_qos is False:
        yield Finding(
            "KN0304",
            kubelet.config_path,
            "cgroupsPerQOS is false: pods have no cgroup of their own, so nothing holds for a pod or a QoS class as a whole",
            f"set `cgroupsPerQOS: true` in {kubelet.config_path}, and restart kubelet on the drained node",
        )
    if kubelet.state_replaced:
        yield Finding(
            "KN0305",
            _STATE,
            "kubelet has written a new file since koordnri's pod mounted this one; a policy that changed meanwhile is not seen",
            "after a change of cpuManagerPolicy delete the node's koordnri pod; otherwise nothing",
        )
    if not kubelet.state_found:
        yield Finding(
            "KN0306",
            f"{facts.ours.host_root.rstrip('/')}{_STATE}",
            "kubelet runs, and this file is not there: koordnri takes the policy for none, and may give away CPUs that kubelet pins",
            f"chart: --set kubeletDir={kubelet.state_dir}; outside Kubernetes bind-mount {kubelet.state_dir}/cpu_manager_state there",
        )
    yield from _driver(facts)


def _driver(facts: Facts) -> Iterator[Finding]:
    kubelet, runtime, config = facts.kubelet, facts.runtime, facts.runtime.config
    if config is None or config.systemd_cgroup is None or kubelet.cgroup_driver is None:
        return
    version, since = parse_version(runtime.version_text), _REPORTS_DRIVER.get(runtime.kind)
    if version is not None and since is not None and version._replace(final=True) >= since:
        return
    name = _NAMES[config.systemd_cgroup]
    if name == kubelet.cgroup_driver:
        return
    where = (
        f'cgroup_manager = "{kubelet.cgroup_driver}" under [crio.runtime]'
        if runtime.kind == CRIO
        else f"SystemdCgroup = {str(not config.systemd_cgroup).lower()} under "
        '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]'
    )
    yield Finding(
        "KN0303",
        config.path,
        f"kubelet ({kubelet.config_path}) uses {kubelet.cgroup_driver}, {runtime.kind} uses {name}: "
        "containers are not in their pods' cgroups",
        f"on the drained node set {where} in {config.path}, and restart {runtime.kind} and kubelet",
    )
