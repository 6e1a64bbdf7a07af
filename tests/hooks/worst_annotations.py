"""Annotations that are as slow to read and decide as their length allows. To measure them:

python -m tests.hooks.worst_annotations     ms of the first decision of a container and its pod, for the worst of each annotation
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple

from koordnri.chain import Chain, Snapshot, load_hooks
from koordnri.model import Container, Event, NodeState, Pod, Resources
from koordnri.model.annotations import MAX_CHARACTERS
from koordnri.model.decision import HookError
from koordnri.model.node import Pool, Resctrl
from koordnri.model.schemata import Cache, MemoryBandwidth
from koordnri.model.topology import Topology
from tests.support.pods import BURSTABLE, pod
from tests.support.policies import policy_of

STATUS = "scheduling.koordinator.sh/resource-status"
DEVICES = "scheduling.koordinator.sh/device-allocated"
EXTENDED = "node.koordinator.sh/extended-resource-spec"
SPEC, NAMES = "scheduling.koordinator.sh/resource-spec", "koordnri.sh/exclusive-cpus"
RESCTRL = "node.koordinator.sh/resctrl"
CPU_QOS, MEMORY_QOS = "koordinator.sh/cpuQOS", "koordinator.sh/memoryQOS"
BURST, BLKIO = "koordinator.sh/cpuBurst", "koordinator.sh/blkioQOS"

OF_CLASS = {EXTENDED: "BE", CPU_QOS: "LS", BURST: "LS"}
"""Annotation → the QoS class that it counts for, other than LSR."""
Item = Callable[[str], str]
"""short text that is different each time → one item of a list or mapping"""

OTHERS: dict[str, list[tuple[str, Item, str]]] = {
    STATUS: [
        ('{"numaNodeResources":[', lambda n: '{"node":0}', "]}"),
        ('{"numaNodeResources":[', lambda n: '{"Node":0}', "]}"),
        ('{"numaNodeResources":[', lambda n: '{"node":0,"resources":{"cpu":".1"}}', "]}"),
        ('{"numaNodeResources":[', lambda n: f'{{"Node":0,"{n}":0}}', "]}"),
        ('{"cpuset":"', lambda n: "1", '"}'),
        ('{"cpuset":"', lambda n: str(int(n, 36) % 8192), '"}'),
        ('{"x":[', lambda n: f'{{"{n}":0}}', "]"),
    ],
    DEVICES: [
        ('{"gpu":[{"Minor":1}],', lambda n: f'"{n}":[]', "}"),
        ('{"gpu":[', lambda n: '{"Minor":0}', "]}"),
        ('{"rdma":[{"minor":0,"extension":{"vfs":[', lambda n: f'{{"busID":"{n}"}}', "]}}]}"),
    ],
    EXTENDED: [
        ('{"Containers":{', lambda n: f'"{n}":{{}}', "}}"),
        ('{"Containers":{', lambda n: f'"{n}":null', "}}"),
        ('{"containers":{', lambda n: f'"{n}":{{"limits":{{"kubernetes.io/batch-cpu":".1"}}}}', "}}"),
    ],
    NAMES: [("[", lambda n: f'"{n}"', "]")],
    RESCTRL: [
        ('{"llc":{"schemataPerCache":[', lambda n: f'{{"cacheID":{int(n, 36)},"range":[0,9]}}', "]}}"),
        ('{"llc":{"schemataPerCache":[', lambda n: f'{{"CacheID":{int(n, 36)},"range":[0,9]}}', "]}}"),
        ('{"mb":{"schemataPerCache":[', lambda n: f'{{"cacheID":{int(n, 36)},"percent":9}}', "]}}"),
    ],
    BLKIO: [
        ('{"blocks":[', lambda n: "0", "]}"),
        ('{"blocks":[', lambda n: "{}", "]}"),
        ('{"blocks":[', lambda n: f'{{"name":"{n}"}}', "]}"),
        ('{"blocks":[', lambda n: f'{{"name":"a","{n}":0}}', "]}"),
        ('{"blocks":[', lambda n: f'{{"name":"{n}","type":"podvolume"}}', "]}"),
        ('{"blocks":[', lambda n: '{"name":"/dev/sda","ioCfg":{"readBPS":".1"}}', "]}"),
        ('{"blocks":[', lambda n: f'{{"name":"/dev/sda","ioCfg":{{"readBPS":{int(n, 36)}}}}}', "]}"),
    ],
}
OF_ALL: list[tuple[str, Item, str]] = [
    ("{", lambda n: f'"{n}":0', "}"),
    ("{", lambda n: f'"grupIdentity-minLimitPercen-{n}":0', "}"),
    ("{", lambda n: '"policy":null', "}"),
    ("", lambda n: "[", ""),
]
KEYS = (STATUS, DEVICES, EXTENDED, SPEC, NAMES, RESCTRL, CPU_QOS, MEMORY_QOS, BURST, BLKIO)
NODE = NodeState(
    topology=Topology.regular(2, 4, 8, 2),
    ls_pools=tuple(Pool(n // 4, n, f"{8 * n}-{8 * n + 7}") for n in range(8)),
    cgroup_files=NodeState().cgroup_files | {"cpu.bvt_warp_ns"},
    resctrl=Resctrl("intel", 0xFF, 8, (0, 1), frozenset(), (Cache("L3", 0xFF, (0, 1)),), MemoryBandwidth((0, 1))),
    block_devices={"/dev/sda": "8:0"},
)
CLASS = {"cpuQOS": {"enable": True}, "memoryQOS": {"enable": True}, "resctrlQOS": {"enable": True}}
UNDER = Snapshot.of(
    policy_of(
        resource_qos_config={"clusterStrategy": {"lsrClass": CLASS, "lsClass": CLASS, "beClass": CLASS}},
        cpu_burst_config={"clusterStrategy": {"policy": "auto"}},
    ),
    NODE,
)


class Worst(NamedTuple):
    """One text, as long as an annotation may be."""

    key: str
    name: str
    text: str

    def pod(self) -> Pod:
        """A new pod, of which nothing is parsed yet."""
        return pod(OF_CLASS.get(self.key, "LSR"), BURSTABLE, {self.key: self.text})


def worst_annotations() -> list[Worst]:
    return [
        Worst(key, f"{key.rpartition('/')[2]}: {start}{item('a')}", _filled(start, item, end))
        for key in KEYS
        for start, item, end in [*OTHERS.get(key, ()), *OF_ALL]
    ]


def decide(chain: Chain, one: Pod) -> tuple[HookError, ...]:
    """Decide a container and its pod; the errors."""
    asked = Resources(cpu_shares=2048, cpu_quota=200_000, cpu_period=100_000, memory_limit=1 << 31)
    container = Container("c1", "main", one.id, asked)
    of_container = chain.decide_container(one, container, Event.CREATE, UNDER)
    return *of_container.errors, *chain.decide_pod(one, UNDER, [container]).errors


def _filled(start: str, item: Item, end: str) -> str:
    parts: list[str] = []
    left = MAX_CHARACTERS - len(start) - len(end)
    for name in _names():
        left -= len(item(name)) + 1
        if left < -1:
            break
        parts.append(item(name))
    return start + ",".join(parts) + end


def _names() -> Iterator[str]:
    """Different names, the shortest first."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    for number in count():
        name = digits[number % 36]
        while number := number // 36:
            name = digits[number % 36] + name
        yield name


def _milliseconds(chain: Chain, worst: Worst) -> float:
    """The quickest of several, for other processes only make it slower."""
    times = []
    for _ in range(7):
        one = worst.pod()
        before = time.thread_time_ns()
        decide(chain, one)
        times.append(time.thread_time_ns() - before)
    return min(times) / 1e6


def main() -> None:
    chain = Chain(load_hooks())
    gc.disable()  # as in the daemon
    slowest: dict[str, tuple[float, str]] = {}
    for worst in worst_annotations():
        slowest[worst.key] = max(slowest.get(worst.key, (0.0, "")), (_milliseconds(chain, worst), worst.name))
    for ms, name in sorted(slowest.values(), reverse=True):
        print(f"{ms:6.2f} ms  {name}")


if __name__ == "__main__":
    main()
