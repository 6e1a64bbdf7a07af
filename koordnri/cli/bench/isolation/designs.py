"""The experiments. Each arm is a policy and pods as a user would write them.

D1   a service beside batch work that never rests
D2   a service that is throttled when its requests come in bursts
D3   a service beside batch work that wakes up every 2 s for 1 s

D4 and D5 are in memory_and_disk.
"""

from __future__ import annotations

from collections.abc import Sequence

from koordnri.cli.bench.isolation.inside import iterations_in
from koordnri.cli.bench.isolation.memory_and_disk import MIB, disk, memory
from koordnri.cli.bench.isolation.plan import ALONE, EXCLUSIVE_CPUS, NONE, TRUSTING, Arm, Design, PodPlan
from koordnri.cli.bench.policy import Policy
from koordnri.model import KubeQoS
from koordnri.model.convert import CFS_PERIOD_US
from koordnri.model.qos import QOS_LABEL

REQUEST_S = 0.0005
"""CPU time of a request"""
EVERY_S = 0.002
BURST_LIMIT_M = 530
IDLE: Policy = {
    **TRUSTING,
    "resource-qos-config": {"clusterStrategy": {"beClass": {"cpuQOS": {"enable": True, "schedIdle": 1}}}},
}
SUPPRESS: Policy = {
    **TRUSTING,
    "resource-threshold-config": {"clusterStrategy": {"enable": True, "cpuSuppressPolicy": "cfsQuota"}},
}
"""By quota, for a cpuset has two CPUs at least: on a small machine that is all of it."""
QUOTA_BURST: Policy = {
    **TRUSTING,
    "cpu-burst-config": {"clusterStrategy": {"policy": "cfsQuotaBurstOnly", "sharePoolThresholdPercent": 100}},
}
SETTLE_S = 5.0
BURST: Policy = {**TRUSTING, "cpu-burst-config": {"clusterStrategy": {"policy": "cpuBurstOnly"}}}


def designs(cpus: int, on_disk: tuple[str, str] | None) -> dict[str, Design]:
    """Name → design, for a machine of so many CPUs, with this disk (/dev/vda, MAJOR:MINOR). Without a disk there is no D5."""
    made = [_colocation(cpus), _burst(), _phases(cpus), memory()]
    made += [] if on_disk is None else [disk(*on_disk)]
    return {design.name: design for design in made}


def _colocation(cpus: int) -> Design:
    question = "a service beside batch work that never rests"
    return Design("D1", question, _beside(cpus, ((1.0, 0.0),)))


def _burst() -> Design:
    """The service uses 38 % of a CPU on average, 30 % mostly and 70 % for 0.2 s of each second. Its limit is 140 % of the average."""
    config = {"iterations": iterations_in(REQUEST_S), "phases": ((0.8, REQUEST_S / 0.3), (0.2, REQUEST_S / 0.7))}
    service = PodPlan("service", "service", config, KubeQoS.BURSTABLE, cpu_request_m=380, cpu_limit_m=BURST_LIMIT_M)
    free = service._replace(cpu_limit_m=0)
    burst = service._replace(proof={"cpu.burst": BURST_LIMIT_M * 100})
    return Design(
        "D2",
        "a service whose requests come in bursts, with a CPU limit of 140 % of what it uses on average",
        [
            Arm(ALONE, free, None, TRUSTING, "without a limit"),
            Arm(NONE, service, None, TRUSTING, "with the limit, as kubelet sets it"),
            Arm("kernel burst", burst, None, BURST, "with the limit and the kernel's burst (cpu-burst-config)"),
            Arm(
                "quota burst",
                service,
                None,
                QUOTA_BURST,
                f"with the limit and quota burst (cfsQuotaBurst…), after {SETTLE_S:g} s",
                SETTLE_S,
            ),
            Arm("exclusive CPUs", _pinned(service), None, TRUSTING, "with a CPU that it has alone (LSE), and no quota"),
        ],
    )


def _pinned(service: PodPlan) -> PodPlan:
    """The service with one CPU that it has alone."""
    return service._replace(
        qos=KubeQoS.GUARANTEED,
        labels={QOS_LABEL: "LSE"},
        cpu_request_m=1000,
        cpu_limit_m=1000,
        memory_limit=128 * MIB,
        proof={EXCLUSIVE_CPUS: 1, "cpu.quota": -1},
    )


def _phases(cpus: int) -> Design:
    question = "a service beside batch work that wakes up every 2 s for 1 s"
    return Design("D3", question, _beside(cpus, ((1.0, 1.0),)), windows=True)


def _beside(cpus: int, phases: Sequence[tuple[float, float]]) -> list[Arm]:
    config = {"iterations": iterations_in(REQUEST_S), "phases": ((1.0, EVERY_S),)}
    service = PodPlan("service", "service", config, KubeQoS.BURSTABLE, cpu_request_m=1000)
    # Twice as many threads as CPUs, so that each CPU always has one that wants to run.
    batch = PodPlan("batch", "batch", {"processes": 2 * cpus, "phases": phases}, KubeQoS.BESTEFFORT)
    be = batch._replace(labels={QOS_LABEL: "BE"})
    return [
        Arm(ALONE, service, None, TRUSTING),
        Arm(
            NONE,
            service,
            batch._replace(qos=KubeQoS.BURSTABLE, cpu_request_m=1000 * cpus),
            TRUSTING,
            "batch as a pod like any other",
        ),
        Arm("shares 2", service, batch, TRUSTING, "batch as BestEffort, as kubelet has it (shares 2)"),
        Arm("BE idle", service, be._replace(proof={"cpu.idle": 1}), IDLE, "batch that yields (schedIdle of beClass)"),
        Arm(
            "suppress",
            service,
            be._replace(class_quota=True),
            SUPPRESS,
            "batch that is suppressed (cfsQuota)",
            wake_us=round(REQUEST_S / EVERY_S * CFS_PERIOD_US),
        ),
        Arm("exclusive CPUs", _pinned(service), be, TRUSTING, "a CPU that the service has alone (LSE)"),
    ]
