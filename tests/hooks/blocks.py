"""Blocks of blkioQOS, the pods and policies that have them, and what the hook blkio decides of them."""

from __future__ import annotations

from typing import Any

from koordnri_hooks.blkio import BlockIO

from koordnri.hook import ClassContext, RootContext
from koordnri.model import Decision, KubeQoS, NodeState, Pod
from koordnri.model.pod import ContainerSpec, PodSpec
from koordnri.policy import DEFAULT_POLICY, Policy
from tests.hooks.one_hook import NODE, context, run, run_pod
from tests.support.pods import pod
from tests.support.policies import policy_of

KEY = "koordinator.sh/blkioQOS"
PATH = "resource-qos-config.beClass.blkioQOS"
V2 = NodeState(
    block_devices={"/dev/sda": "8:0", "/dev/sda1": "8:0", "/dev/sdb": "8:16", "/dev/sdc": "8:32"},
    volume_groups={"data": ("/dev/sdb", "/dev/sdc"), "fast": ("/dev/sda",)},
    pod_volumes={"uid-web": {"pv-1": ("/dev/sdb",), "scratch": ("/dev/sda",)}, "uid-2": {}},
    disks_below={"8:0": ("/dev/sda",), "8:1": ("/dev/sda",), "253:0": ("/dev/sdb", "/dev/sdc")},
)
THROTTLES = frozenset(
    f"blkio/blkio.throttle.{rw}_{what}_device" for rw in ("read", "write") for what in ("bps", "iops")
)
ANOLIS = frozenset({"blkio/blkio.cost.weight"})
BFQ = frozenset({"blkio/blkio.bfq.weight_device"})
ROOT_V1 = frozenset({"blkio/blkio.cost.qos", "blkio/blkio.cost.model"})


def v1(files: frozenset[str] = THROTTLES | ANOLIS, root: frozenset[str] = ROOT_V1) -> NodeState:
    return NodeState(cgroup_version=1, cgroup_files=files, root_files=root)


def block(name: str = "/dev/sdb", kind: str = "device", **io: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "ioCfg": io}


def own(*blocks: Any) -> dict[str, Any]:
    return {KEY: {"blocks": list(blocks)}}


def blkio_of(cls: str, *blocks: Any, enable: bool = True) -> Policy:
    return policy_of(
        resource_qos_config={"clusterStrategy": {cls: {"blkioQOS": {"enable": enable, "blocks": list(blocks)}}}}
    )


def of_pod(*blocks: Any, node: NodeState = NODE, qos: str = "LS") -> Decision:
    return run_pod(BlockIO(), pod(qos, annotations=own(*blocks)), node)


def claiming(containers: dict[str, dict[str, str]], given: dict[str, dict[str, str]], *blocks: Any) -> Pod:
    """A pod whose spec has volumes behind claims (container → path → volume), and what its containers were given (→ path → place)."""
    spec = PodSpec({name: ContainerSpec({}, {}, claimed=claimed) for name, claimed in containers.items()})
    return pod("LS", annotations=own(*blocks), spec=spec, given=given)


def of_container(*blocks: Any, node: NodeState = NODE, policy: Policy = DEFAULT_POLICY) -> Decision:
    return run(BlockIO(), context(pod("LS", annotations=own(*blocks)), node=node, policy=policy))


def of_class(policy: Policy, kube_qos: KubeQoS = KubeQoS.BESTEFFORT, node: NodeState = NODE) -> Decision:
    ctx = ClassContext(kube_qos, (), policy, node, node.pod_routes)
    ctx.hook, ctx.owns = BlockIO.name, frozenset(BlockIO.owns)
    BlockIO().decide_class(ctx)
    return ctx.made()


def of_root(*blocks: Any, node: NodeState = NODE, enable: bool = True) -> Decision:
    policy = blkio_of("cgroupRoot", *blocks, enable=enable)
    ctx = RootContext(policy, node, node.root_routes)
    ctx.hook, ctx.owns = BlockIO.name, frozenset(BlockIO.owns)
    BlockIO().decide_root(ctx)
    return ctx.made()
