"""What plugins do to a runtime, as scripts: each is played to NRI's own adaptation and to the embedded one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from koordnri.wire import api_pb2 as api
from tests.runtime.scripted_plugin import Answer, Do, Status, adjusting, quota, update
from tests.support.messages import container, pod

NO_VALIDATION = 0x1FFF
ALL = 0x3FFF
SHORT_S, LONG_S = 1.0, 20.0
"""Request timeouts: where a plugin keeps silent, and elsewhere."""
SILENT_IN_CREATE: dict[str, Answer] = {"CreateContainer": Do.NOTHING}
MUST = api.FailurePolicy(fail_request=True)
STAYS = api.FailurePolicy(keep_connected=True)
MUST_AND_STAYS = api.FailurePolicy(fail_request=True, keep_connected=True)


@dataclass(frozen=True)
class Plugin:
    """One plugin: how it registers, and what it answers."""

    answers: dict[str, Answer] = field(default_factory=dict)
    index: str = ""
    """"": its place in the scenario"""
    name: str = "p"
    events: int = NO_VALIDATION
    policy: api.FailurePolicy | None = None

    def script(self) -> dict[str, Answer]:
        """Its answers, that to Configure among them."""
        configured = api.ConfigureResponse(events=self.events, failure_policy=self.policy)
        return {"Configure": configured, **self.answers}


Step = tuple[str, Message] | tuple[str, Message, int]
"""(method, request of the runtime), or (method, request of a plugin, its place in the scenario); the method `goes` ends its connection"""


@dataclass(frozen=True)
class Scenario:
    """Plugins that register one after the other, then requests."""

    plugins: tuple[Plugin, ...]
    steps: tuple[Step, ...] = ()
    state: api.SynchronizeRequest = field(default_factory=api.SynchronizeRequest)
    timeout_s: float = LONG_S


def creating(**fields: Any) -> Step:
    """A creation of c1 in p1."""
    return "CreateContainer", api.CreateContainerRequest(pod=pod(), container=container(**fields))


def updating(resources: api.LinuxResources) -> Step:
    """An update of c1 that kubelet asks for."""
    request = api.UpdateContainerRequest(pod=pod(), container=container(), linux_resources=resources)
    return "UpdateContainer", request


GOES: Step = ("goes", api.Empty(), 0)
"""The first plugin disconnects."""
STOPPING: Step = ("StopContainer", api.StopContainerRequest(pod=pod(), container=container()))
LIFE: tuple[Step, ...] = (
    ("RunPodSandbox", api.RunPodSandboxRequest(pod=pod())),
    creating(),
    ("PostCreateContainer", api.PostCreateContainerRequest(pod=pod(), container=container())),
    ("StartContainer", api.StartContainerRequest(pod=pod(), container=container())),
    ("PostStartContainer", api.PostStartContainerRequest(pod=pod(), container=container())),
    updating(quota(50_000)),
    ("PostUpdateContainer", api.PostUpdateContainerRequest(pod=pod(), container=container())),
    ("UpdatePodSandbox", api.UpdatePodSandboxRequest(pod=pod(), linux_resources=quota(60_000))),
    ("PostUpdatePodSandbox", api.PostUpdatePodSandboxRequest(pod=pod())),
    STOPPING,
    ("RemoveContainer", api.RemoveContainerRequest(pod=pod(), container=container())),
    ("StopPodSandbox", api.StopPodSandboxRequest(pod=pod())),
    ("RemovePodSandbox", api.RemovePodSandboxRequest(pod=pod())),
)


def adjusts(**fields: Any) -> Plugin:
    """A plugin with this adjustment."""
    return Plugin({"CreateContainer": adjusting(**fields)})


def adjusts_linux(**fields: Any) -> Plugin:
    """A plugin with this adjustment of Linux' part."""
    return adjusts(linux=api.LinuxContainerAdjustment(**fields))


def updates(*asked: api.ContainerUpdate, method: str = "UpdateContainer") -> Plugin:
    """A plugin that answers a request with these updates."""
    responses = {
        "CreateContainer": api.CreateContainerResponse,
        "UpdateContainer": api.UpdateContainerResponse,
        "StopContainer": api.StopContainerResponse,
        "Synchronize": api.SynchronizeResponse,
    }
    return Plugin({method: responses[method](update=asked)})


def validates(answer: Answer, **others: Answer) -> Plugin:
    """A plugin that validates."""
    return Plugin({"ValidateContainerAdjustment": answer, **others}, events=ALL)


def env(key: str, value: str = "") -> api.KeyValue:
    return api.KeyValue(key=key, value=value)


def mount(destination: str, source: str = "/s") -> api.Mount:
    return api.Mount(destination=destination, source=source, type="bind")


def device(path: str, minor: int = 1) -> api.LinuxDevice:
    return api.LinuxDevice(path=path, type="c", major=1, minor=minor)


def memory(limit: int) -> api.LinuxResources:
    return api.LinuxResources(memory=api.LinuxMemory(limit=api.OptionalInt64(value=limit)))


def text(value: str) -> api.OptionalString:
    return api.OptionalString(value=value)


EVERYTHING = api.LinuxResources(
    memory=api.LinuxMemory(
        limit=api.OptionalInt64(value=1 << 30), swap=api.OptionalInt64(), swappiness=api.OptionalUInt64(value=10)
    ),
    cpu=api.LinuxCPU(
        shares=api.OptionalUInt64(value=512),
        quota=api.OptionalInt64(value=-1),
        period=api.OptionalUInt64(value=100_000),
        cpus="0-1",
        mems="0",
    ),
    hugepage_limits=[api.HugepageLimit(page_size="2MB", limit=4 << 20)],
    blockio_class=text("slow"),
    rdt_class=text(""),
    unified={"memory.high": "1000000", "memory.min": "1"},
    devices=[api.LinuxDeviceCgroup(allow=True, type="c", access="rw")],
    pids=api.LinuxPids(limit=100),
)
BIG_POD = pod(annotations={"big": "x" * 20_000})
MANY = api.SynchronizeRequest(
    pods=[pod(f"p{n}", annotations={"big": "x" * 20_000}) for n in range(150)],
    containers=[
        container(f"c{n}", f"p{n}", env=["A=" + "y" * 20_000], state=api.CONTAINER_RUNNING) for n in range(150)
    ],
)
FEW = api.SynchronizeRequest(
    pods=[pod(), pod("p2")], containers=[container(state=api.CONTAINER_RUNNING), container("c2", "p2", state=3)]
)
IN_PARTS: Answer = lambda request: api.SynchronizeResponse(more=request.more)  # noqa: E731
REJECTS = api.ValidateContainerAdjustmentResponse(reject=True, reason="too much")

REGISTRATION = {
    "a name with a space": Scenario((Plugin(name="a b"),)),
    "no name": Scenario((Plugin(name=""),)),
    "an index of one digit": Scenario((Plugin(index="5"),)),
    "an index of letters": Scenario((Plugin(index="ab"),)),
    "an unknown event": Scenario((Plugin(events=0x4000),), LIFE[:1]),
    "no events are all events": Scenario((Plugin(events=0),), LIFE),
    "an error to Configure": Scenario((Plugin({"Configure": Status(2, "no")}),), LIFE[:1]),
    "silence to Configure": Scenario((Plugin({"Configure": Do.NOTHING}),), LIFE[:1], timeout_s=SHORT_S),
    "the same name and index twice": Scenario((adjusts(env=[env("A", "1")]),) * 2, (creating(),)),
}
SYNCHRONIZATION = {
    "all at once": Scenario((Plugin(),), state=FEW),
    "updates": Scenario((updates(update("c1", quota(1000)), update("x", quota(5)), method="Synchronize"),), state=FEW),
    "in parts": Scenario((Plugin({"Synchronize": IN_PARTS}),), LIFE[:1], MANY),
    "parts that are not understood": Scenario((Plugin(),), LIFE[:1], MANY),
    "an error": Scenario((Plugin({"Synchronize": Status(2, "no")}),), LIFE[:1], FEW),
    "silence": Scenario((Plugin({"Synchronize": Do.NOTHING}),), LIFE[:1], FEW, SHORT_S),
}
EVENTS = {
    "a whole life": Scenario((Plugin(), Plugin()), LIFE),
    "only what was subscribed to": Scenario((Plugin(events=0x0408),), LIFE),
    "by StateChange": Scenario((Plugin({"RunPodSandbox": Status(12, "method RunPodSandbox")}),), LIFE),
    "in the order of indices": Scenario((Plugin(index="50"), Plugin(index="05")), LIFE[:2]),
    "an error": Scenario((Plugin({"RunPodSandbox": Status(2, "not today")}), Plugin()), LIFE[:3]),
    "another code": Scenario((Plugin({"UpdateContainer": Status(14, "busy")}),), LIFE),
    "unimplemented where nothing takes its place": Scenario(
        (Plugin({"UpdatePodSandbox": Status(12, "method UpdatePodSandbox")}),), LIFE
    ),
    "an answer that cannot be decoded": Scenario((Plugin({"CreateContainer": b"\xff"}), Plugin()), LIFE[:2]),
    "a plugin that has gone between two requests": Scenario((Plugin(), Plugin()), (LIFE[0], GOES, *LIFE[1:3])),
    "an update unasked": Scenario(
        (Plugin(),), (("UpdateContainers", api.UpdateContainersRequest(update=[update("c1", quota(9))]), 0),), FEW
    ),
}
SILENCE = {
    "no policy": Scenario(
        (Plugin(SILENT_IN_CREATE), adjusts(env=[env("A")])), (*LIFE[:2], *LIFE[:2]), timeout_s=SHORT_S
    ),
    "must": Scenario((Plugin(SILENT_IN_CREATE, policy=MUST), Plugin()), (*LIFE[:2], *LIFE[:2]), timeout_s=SHORT_S),
    "stays": Scenario((Plugin(SILENT_IN_CREATE, policy=STAYS), Plugin()), (*LIFE[:2], *LIFE[:2]), timeout_s=SHORT_S),
    "must and stays": Scenario(
        (Plugin(SILENT_IN_CREATE, policy=MUST_AND_STAYS), Plugin()), (*LIFE[:2], *LIFE[:2]), timeout_s=SHORT_S
    ),
    "hangs up": Scenario((Plugin({"CreateContainer": Do.HANG_UP}), Plugin()), (*LIFE[:2], *LIFE[:2])),
    "hangs up, must and stays": Scenario(
        (Plugin({"CreateContainer": Do.HANG_UP}, policy=MUST_AND_STAYS), Plugin()), (*LIFE[:2], *LIFE[:2])
    ),
    "a validator": Scenario((validates(Do.NOTHING), Plugin()), (creating(), creating()), timeout_s=SHORT_S),
    "a validator that stays": Scenario(
        (Plugin({"ValidateContainerAdjustment": Do.NOTHING}, events=ALL, policy=STAYS),),
        (creating(), creating()),
        timeout_s=SHORT_S,
    ),
    "a validator hangs up before its turn": Scenario(
        (validates(None, CreateContainer=Do.HANG_UP), Plugin(events=ALL)), (creating(),)
    ),
}
ADJUSTMENTS = {
    "later plugins see it": Scenario(
        (
            adjusts(
                annotations={"a": "1"},
                mounts=[mount("/m")],
                env=[env("A", "1")],
                args=["new"],
                hooks=api.Hooks(prestart=[api.Hook(path="/h")], poststop=[api.Hook(path="/h2")]),
                rlimits=[api.POSIXRlimit(type="RLIMIT_NOFILE", hard=9, soft=8)],
                CDI_devices=[api.CDIDevice(name="v/c=1")],
            ),
            Plugin(),
        ),
        (creating(args=["app"], env=["A=0", "B=2"], annotations={"z": "0"}, mounts=[mount("/m", "/old")]),),
    ),
    "later plugins see Linux' part": Scenario(
        (
            adjusts_linux(
                devices=[device("/dev/x")],
                resources=EVERYTHING,
                cgroups_path="/other",
                oom_score_adj=api.OptionalInt(value=-5),
                io_priority=api.LinuxIOPriority(priority=3),
                seccomp_policy=api.LinuxSeccomp(default_action="SCMP_ACT_ALLOW"),
                namespaces=[api.LinuxNamespace(type="network", path="/n"), api.LinuxNamespace(type="-ipc")],
                sysctl={"net.a": "1"},
                net_devices={"eth1": api.LinuxNetDevice(name="e")},
                scheduler=api.LinuxScheduler(nice=3),
                rdt=api.LinuxRdt(clos_id=text("gold")),
                memory_policy=api.LinuxMemoryPolicy(nodes="0"),
            ),
            Plugin(),
        ),
        (
            creating(
                linux=api.LinuxContainer(
                    resources=quota(5), namespaces=[api.LinuxNamespace(type="ipc"), api.LinuxNamespace(type="pid")]
                )
            ),
        ),
    ),
    "removals": Scenario(
        (
            adjusts(annotations={"-z": ""}, env=[env("-A")], mounts=[mount("-/m")]),
            adjusts_linux(
                devices=[device("-/dev/x")], sysctl={"-net.a": ""}, net_devices={"-eth0": api.LinuxNetDevice()}
            ),
            Plugin(),
        ),
        (
            creating(
                env=["A=0", "B=2"],
                annotations={"z": "0"},
                mounts=[mount("/m")],
                linux=api.LinuxContainer(
                    devices=[device("/dev/x")],
                    sysctl={"net.a": "0"},
                    net_devices={"eth0": api.LinuxNetDevice(name="x")},
                ),
            ),
        ),
    ),
    "taken over from an earlier plugin": Scenario(
        (
            adjusts(annotations={"a": "1"}, env=[env("A", "1")], mounts=[mount("/m")], args=["one"]),
            adjusts(
                annotations={"-a": "", "a": "2"},
                env=[env("-A"), env("A", "2")],
                mounts=[mount("-/m"), mount("/m", "/t")],
                args=["", "two"],
            ),
            Plugin(),
        ),
        (creating(args=["app"]),),
    ),
    "RDT taken over": Scenario(
        (
            adjusts_linux(rdt=api.LinuxRdt(clos_id=text("a"), enable_monitoring=api.OptionalBool(value=True))),
            adjusts_linux(rdt=api.LinuxRdt(remove=True, clos_id=text("b"))),
        ),
        (creating(),),
    ),
    "RDT removed": Scenario(
        (adjusts_linux(rdt=api.LinuxRdt(clos_id=text("a"))), adjusts_linux(rdt=api.LinuxRdt(remove=True))),
        (creating(),),
    ),
    "set to 0 is set": Scenario((adjusts_linux(resources=quota(0)), Plugin()), (creating(),)),
    "hooks of several plugins": Scenario(
        (
            adjusts(hooks=api.Hooks(prestart=[api.Hook(path="/a")])),
            adjusts(hooks=api.Hooks(prestart=[api.Hook(path="/b")])),
            Plugin(events=ALL),
        ),
        (creating(),),
    ),
    "updates of others": Scenario(
        (
            updates(update("c2", quota(1)), update("c3", memory(2)), method="CreateContainer"),
            updates(update("c2", memory(3), ignore_failure=True), method="CreateContainer"),
        ),
        (creating(),),
    ),
    "an update of itself": Scenario((updates(update("c1", quota(1)), method="CreateContainer"),), (creating(),)),
}
CONFLICTS = {
    "a quota": Scenario((adjusts_linux(resources=quota(1)), adjusts_linux(resources=quota(2))), (creating(),)),
    "a variable": Scenario((adjusts(env=[env("A", "1")]), adjusts(env=[env("A", "1")])), (creating(),)),
    "with itself": Scenario((adjusts(env=[env("A", "1"), env("A", "2")]),), (creating(),)),
    "an annotation": Scenario((adjusts(annotations={"a": "1"}), adjusts(annotations={"a": "2"})), (creating(),)),
    "a mount": Scenario((adjusts(mounts=[mount("/m")]), adjusts(mounts=[mount("/m")])), (creating(),)),
    "a device": Scenario((adjusts_linux(devices=[device("/d")]), adjusts_linux(devices=[device("/d")])), (creating(),)),
    "a CDI device": Scenario((adjusts(CDI_devices=[api.CDIDevice(name="v/c=1")]),) * 2, (creating(),)),
    "a limit": Scenario((adjusts(rlimits=[api.POSIXRlimit(type="RLIMIT_CORE")]),) * 2, (creating(),)),
    "args": Scenario((adjusts(args=["a"]), adjusts(args=["b"])), (creating(),)),
    "a unified key": Scenario((adjusts_linux(resources=api.LinuxResources(unified={"k": "1"})),) * 2, (creating(),)),
    "a namespace that one removes": Scenario(
        (
            adjusts_linux(namespaces=[api.LinuxNamespace(type="-ipc")]),
            adjusts_linux(namespaces=[api.LinuxNamespace(type="ipc")]),
        ),
        (creating(),),
    ),
    "the first of two, in the order of fields": Scenario(
        (
            adjusts_linux(
                scheduler=api.LinuxScheduler(nice=1), sysctl={"a": "1"}, memory_policy=api.LinuxMemoryPolicy(nodes="0")
            ),
            adjusts_linux(
                scheduler=api.LinuxScheduler(nice=1), sysctl={"a": "1"}, memory_policy=api.LinuxMemoryPolicy(nodes="0")
            ),
        ),
        (creating(),),
    ),
    "a third party after a takeover": Scenario(
        (
            adjusts(env=[env("A", "1")]),
            adjusts(env=[env("-A")]),
            adjusts(env=[env("A", "3")]),
        ),
        (creating(),),
    ),
    "of updates": Scenario((updates(update("c2", quota(1))), updates(update("c2", quota(2)))), (updating(quota(5)),)),
    "that is ignored": Scenario(
        (
            updates(update("c2", quota(1))),
            updates(
                update(
                    "c2",
                    api.LinuxResources(
                        cpu=api.LinuxCPU(quota=api.OptionalInt64(value=2), cpus="0"), unified={"k": "v"}
                    ),
                    ignore_failure=True,
                )
            ),
            updates(update("c2", memory(7))),
        ),
        (updating(quota(5)),),
    ),
}
UPDATES = {
    "later plugins see it": Scenario((updates(update("c1", quota(7))), Plugin()), (updating(EVERYTHING),)),
    "of everything": Scenario(
        (updates(update("c1", EVERYTHING), update("c2", EVERYTHING)), Plugin()), (updating(memory(1)),)
    ),
    "by two plugins": Scenario(
        (updates(update("c1", quota(7))), updates(update("c1", memory(9)))), (updating(quota(5)),)
    ),
    "by two plugins where kubelet asks for pids": Scenario(
        (updates(update("c1", quota(7))), updates(update("c1", memory(9)))),
        (updating(api.LinuxResources(pids=api.LinuxPids(limit=5))),),
    ),
    "of nothing": Scenario((updates(update("c1", api.LinuxResources())),), (updating(quota(5)),)),
    "without an id": Scenario((updates(update("", quota(7))),), (updating(quota(5)),)),
    "at a stop": Scenario(
        (
            updates(update("c1", quota(1)), update("c2", quota(2)), method="StopContainer"),
            updates(update("c2", memory(3)), method="StopContainer"),
        ),
        (STOPPING,),
    ),
    "a conflict at a stop": Scenario((updates(update("c2", quota(2)), method="StopContainer"),) * 2, (STOPPING,)),
}
VALIDATION = {
    "agrees": Scenario(
        (adjusts_linux(resources=quota(1)), validates(None, CreateContainer=adjusting(env=[env("A", "1")]))),
        (creating(env=["B=2"]),),
    ),
    "rejects": Scenario((validates(REJECTS),), (creating(),)),
    "rejects without a reason": Scenario(
        (validates(api.ValidateContainerAdjustmentResponse(reject=True)),), (creating(),)
    ),
    "fails": Scenario((validates(Status(2, "broken")),), (creating(),)),
    "sees updates and who cleared what": Scenario(
        (
            adjusts(env=[env("A", "1")], args=["x"]),
            Plugin(
                {
                    "CreateContainer": api.CreateContainerResponse(
                        adjust=api.ContainerAdjustment(env=[env("-A")], args=["", "y"]), update=[update("c2", quota(5))]
                    )
                },
                events=ALL,
            ),
        ),
        (creating(),),
    ),
}
SCENARIOS: dict[str, Scenario] = {
    f"{group}: {name}": scenario
    for group, scenarios in {
        "registration": REGISTRATION,
        "synchronization": SYNCHRONIZATION,
        "events": EVENTS,
        "silence": SILENCE,
        "adjustments": ADJUSTMENTS,
        "conflicts": CONFLICTS,
        "updates": UPDATES,
        "validation": VALIDATION,
    }.items()
    for name, scenario in scenarios.items()
}
