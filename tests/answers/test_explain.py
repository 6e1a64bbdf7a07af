"""GET /v1/explain: what kubelet asked, what was decided, what the kernel has, and what would change it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import CapturingLogger

from koordnri.answers.explain import ExplainSources, explain
from koordnri.answers.kernel import Kernel
from koordnri.answers.since import Changes, since
from koordnri.cpus.allocator import Allocator
from koordnri.cpus.holding import Holding
from koordnri.host.cgroup.writer import Writer
from koordnri.model import CPUSet, NodeState, Pod, fields
from koordnri.model.annotations import DEVICE_ALLOCATED
from koordnri.model.node import Pool
from koordnri.observe.questions import BadQuestion, NotHere
from koordnri.policy.standing import StandingPolicy
from koordnri.state.causes import PassDone, Place
from koordnri.state.history import History
from koordnri.state.history_line import HistoryLine
from koordnri.state.history_maker import Refusal
from tests.host.fake_kernel import ROOT, FakeKernel
from tests.host.fake_resctrl import FakeResctrl
from tests.reconcile.fake_node import HALVED, MIB, FakeNode, pinned_to, slice_of

NO_RESCTRL = Path("/nowhere")


def explained(
    node: FakeNode,
    pod: str = "shop/p",
    container: str = "",
    allocator: Allocator | None = None,
    history: History | None = None,
) -> Any:
    """The answer of a daemon on this node, as JSON."""
    sources = ExplainSources(
        node.ledger,
        node._hooks,
        StandingPolicy(CapturingLogger()),
        allocator or Allocator(),
        node.machine,
        NO_RESCTRL,
        history,
    )
    parameters = {"pod": pod} | ({"container": container} if container else {})
    return json.loads(json.dumps(explain(sources, parameters)))


def node_with_pinned_pod() -> FakeNode:
    node = FakeNode(2)
    pod = node.pod("p", "LSR", "Guaranteed", pinned_to("2,3"), cpu_quota=200_000, memory_limit=64 * MIB)
    node.container(pod, cpu_quota=200_000, memory_limit=64 * MIB)
    node.run_pass()
    return node


def test_a_container_s_fields_say_what_was_asked_decided_and_is_in_the_kernel() -> None:
    shape = explained(node_with_pinned_pod())
    (container,) = shape["containers"]
    assert container["name"] == "main"
    assert container["state"] == "running"
    assert container["cgroup"] == "kubepods/p/p-main"
    assert container["fields"]["cpu.cpus"] == {
        "value": "2,3",
        "unit": "list",
        "asked": None,
        "kernel": "2,3",
        "effective": "2-3",
        "agrees": True,
        "hook": "cpuset",
        "reason": "assigned by the scheduler",
        "route": "reply",
        "recorded": True,
        "since": None,
        "cause": None,
        "refused": None,
    }
    quota = container["fields"]["cpu.quota"]
    assert (quota["asked"], quota["value"], quota["kernel"], quota["agrees"]) == (200_000, -1, -1, True)


def test_the_pods_own_cgroup_shows_its_sandboxs_cpus_and_kubelets_quota() -> None:
    shape = explained(node_with_pinned_pod())["pod"]
    assert (shape["qos"], shape["kubeQoS"], shape["cgroup"]) == ("LSR", "Guaranteed", "kubepods/p")
    cpus, quota = shape["fields"]["cpu.cpus"], shape["fields"]["cpu.quota"]
    assert (cpus["kernel"], cpus["agrees"], cpus["recorded"]) == ("2,3", True, None)
    assert (quota["asked"], quota["value"], quota["kernel"]) == (200_000, -1, -1)


def test_fields_that_nobody_decides_show_what_kubelet_asked_and_the_kernel_has() -> None:
    container = explained(node_with_pinned_pod())["containers"][0]
    limit = container["untouched"]["memory.limit"]
    assert (limit["value"], limit["asked"], limit["kernel"]) == (None, 64 * MIB, 64 * MIB)
    assert container["untouched"]["rdt.closid"]["reason"] == container["skipped"]["rdt.closid"]


def test_a_value_that_somebody_else_wrote_does_not_agree() -> None:
    node = node_with_pinned_pod()
    node.kernel.cgroups["kubepods/p/p-main"].cpus = frozenset({5})
    shape = explained(node)
    found = shape["containers"][0]["fields"]["cpu.cpus"]
    assert (found["value"], found["kernel"], found["agrees"]) == ("2,3", "5", False)
    assert [line for line in shape["wouldChange"] if line.startswith("cpu.cpus of container main has another value")]


def test_a_written_value_that_the_runtime_does_not_have_stored_is_not_recorded() -> None:
    node = FakeNode(2)
    node.container(node.pod("p", "LS", cpu_quota=100_000), cpu_quota=100_000)
    node.set_policy(**HALVED)
    node.run_pass()
    quota = explained(node)["containers"][0]["fields"]["cpu.quota"]
    assert (quota["asked"], quota["value"], quota["kernel"], quota["recorded"]) == (100_000, 50_000, 50_000, False)


def test_since_when_and_by_what_a_field_has_its_value_is_its_last_change_in_the_history() -> None:
    passes: list[PassDone] = []
    node = FakeNode(passed=passes.append)
    now_s = [1_000_000_000.0]
    history = History(node.snapshot, clock=lambda: now_s[0])
    node.container(node.pod("p", "LS", cpu_quota=100_000), cpu_quota=100_000)
    node.run_pass()
    for ratio in (2.0, 4.0):
        node.set_policy(cpu_normalization_config={"enable": True, "defaultRatio": ratio})
        node.run_pass()
        now_s[0] += 60.0
        while passes:
            history.passed(passes.pop(0))
    quota = explained(node, history=history)["containers"][0]["fields"]["cpu.quota"]
    assert (quota["value"], quota["since"], quota["cause"]) == (25_000, "2001-09-09T01:48:40.000Z", "policy")


def line(cause: str, new: int, detail: str = "") -> HistoryLine:
    return HistoryLine(1, 1e9, "shop", "p", "cpu.quota", cause, container="main", new=new, detail=detail)


def test_a_change_to_another_value_does_not_say_since_when() -> None:
    changes = Changes({("main", "cpu.quota"): line("policy", 50_000)}, {})
    assert since(changes, "main", "cpu.quota", 50_000)["cause"] == "policy"
    unknown = {"since": None, "cause": None, "refused": None}
    assert since(changes, "main", "cpu.quota", 60_000) == unknown
    assert since(changes, "side", "cpu.quota", 50_000) == unknown


def test_a_value_that_the_kernel_refused_says_why_until_it_is_written() -> None:
    node = FakeNode(2)
    node.container(node.pod("p", "LS", cpu_quota=100_000), cpu_quota=100_000)
    history = History(node.snapshot)
    node.set_policy(**HALVED)
    place = Place(node.ledger.pods()[0], "", "main", "cpu.quota")
    history.refused(Refusal(place, 50_000, "cpu.max: Invalid argument"))
    shape = explained(node, history=history)
    assert shape["containers"][0]["fields"]["cpu.quota"]["refused"] == "cpu.max: Invalid argument"
    assert any("could not be written: cpu.max: Invalid argument" in text for text in shape["wouldChange"])


def crun_node() -> tuple[FakeNode, str]:
    """A node whose containers have their processes one level below their scope; and a scope."""
    slices = ("kubepods.slice", *(f"kubepods.slice/kubepods-{qos}.slice" for qos in ("burstable", "besteffort")))
    node = FakeNode(2, FakeKernel(2, slices), crun=True)
    scope = node.container(node.pod("p", "LS", parent=slice_of("p"), cpu_quota=100_000), cpu_quota=100_000)
    node.set_policy(**HALVED)
    node.run_pass()
    return node, scope


def test_under_crun_the_inner_cgroup_counts_and_its_scope_is_shown_too() -> None:
    node, scope = crun_node()
    quota = explained(node)["containers"][0]["fields"]["cpu.quota"]
    assert (quota["kernel"], quota["outer"], quota["agrees"]) == (50_000, 50_000, True)
    node.kernel.cgroups[scope].quota = 70_000
    quota = explained(node)["containers"][0]["fields"]["cpu.quota"]
    assert (quota["kernel"], quota["outer"], quota["agrees"]) == (50_000, 70_000, False)


def test_a_cgroup_that_is_gone_says_so() -> None:
    node = node_with_pinned_pod()
    del node.kernel.cgroups["kubepods/p/p-main"]
    shape = explained(node)
    field = shape["containers"][0]["fields"]["cpu.cpus"]
    assert (field["kernel"], field["agrees"], bool(field["error"])) == (None, None, True)
    assert [line for line in shape["wouldChange"] if "cpu.cpus of container main cannot be read" in line]


def test_a_released_pod_says_what_brings_it_back() -> None:
    node = node_with_pinned_pod()
    node.state = replace(node.state, released=frozenset({"p"}))
    shape = explained(node)
    assert shape["containers"][0]["fields"] == {}
    assert "released by `koordnri release`" in shape["leftAlone"]
    assert shape["wouldChange"][0] == shape["leftAlone"]


def test_a_namespace_that_is_left_alone_says_what_brings_it_back() -> None:
    node = node_with_pinned_pod()
    node.set_policy(koordnri_config={"namespacesLeftAlone": ["shop"]})
    assert "koordnri-config.namespacesLeftAlone" in explained(node)["leftAlone"]


def test_a_hook_that_is_only_observed_names_the_key_that_enforces_it() -> None:
    node = node_with_pinned_pod()
    node.set_policy(koordnri_config={"hooks": {"cpuset": {"mode": "observe"}}})
    shape = explained(node)
    assert shape["containers"][0]["observed"]["cpu.cpus"]["kernel"] == "2,3"
    assert any("koordnri-config.hooks.cpuset.mode: enforce" in line for line in shape["wouldChange"])


def gpus(*minors: int) -> dict[str, str]:
    return {DEVICE_ALLOCATED.key: json.dumps({"gpu": [{"minor": minor} for minor in minors]})}


ENV = "env[NVIDIA_VISIBLE_DEVICES]"


def node_with_gpu_pod() -> tuple[FakeNode, Pod]:
    node = FakeNode(2)
    pod = node.pod("p", annotations=gpus(0))
    node.container(pod)
    return node, pod


def test_what_only_a_creation_sets_is_listed_as_it_was_set() -> None:
    node, _ = node_with_gpu_pod()
    container = explained(node)["containers"][0]
    assert (container["fields"][ENV]["value"], container["fields"][ENV]["route"]) == ("0", "adjust")
    assert ENV not in container["skipped"]
    assert container["restart"] == {}


def test_what_only_a_restart_brings_says_what_is_now_and_what_would_be() -> None:
    node, pod = node_with_gpu_pod()
    node.report_again(pod, gpus(1))
    shape = explained(node)
    restart = shape["containers"][0]["restart"][ENV]
    assert (restart["now"], restart["value"], restart["certain"]) == ("0", "1", True)
    assert any(f"{ENV} of container main becomes 1 only when it is created again" in s for s in shape["wouldChange"])
    node.report_again(pod, {})
    restart = explained(node)["containers"][0]["restart"][ENV]
    assert (restart["now"], restart["value"]) == ("0", None)


def test_after_a_restart_of_the_daemon_it_is_not_certain_what_a_creation_has_set() -> None:
    node, _ = node_with_gpu_pod()
    restart = explained(node.restarted())["containers"][0]["restart"][ENV]
    assert (restart["now"], restart["value"], restart["certain"]) == (None, "0", False)


def test_exclusive_cpus_what_comes_what_is_lacking_and_the_pools() -> None:
    node = FakeNode(2)
    node.container(node.pod("p", "LSR", "Guaranteed"))
    node.state = replace(
        node.state,
        exclusive_cpus={"uid-p": {"main": CPUSet.parse("2-3")}, "uid-other": {"main": CPUSet.parse("5")}},
        no_exclusive_cpus={"uid-p": {"side": "all are taken"}},
        ls_pools=(Pool(0, 0, "0-1,4"),),
        pools_are_local=True,
    )
    allocator = Allocator()
    allocator.restore({"uid-p": {"main": Holding(CPUSet.parse("2-3"), coming=CPUSet.parse("6"))}})
    shape = explained(node, allocator=allocator)
    assert shape["cpus"] == {
        "exclusive": {"main": "2-3"},
        "coming": {"main": "6"},
        "lacking": {"side": "all are taken"},
        "assigned": "",
        "claimed": {},
        "sharePools": {"LS": [{"socket": 0, "node": 0, "cpuset": "0-1,4"}], "BE": [], "from": "koordnri"},
    }
    assert "container main gets CPUs 6 as soon as all others have left them" in shape["wouldChange"]
    assert "container side has no exclusive CPUs: all are taken" in shape["wouldChange"]


def test_one_container_can_be_asked_for() -> None:
    node = FakeNode(2)
    pod = node.pod("p")
    node.container(pod, "main")
    node.container(pod, "side")
    assert [c["name"] for c in explained(node, container="side")["containers"]] == ["side"]


def test_the_policy_in_force_is_named() -> None:
    policy = explained(node_with_pinned_pod())["policy"]
    assert policy.keys() == {"revision", "source", "since", "strategies", "refused"}


def test_a_mistake_in_an_annotation_is_an_error_of_its_container() -> None:
    node = FakeNode(2)
    node.container(node.pod("p", "LSR", annotations=pinned_to("nonsense")))
    assert any(error["container"] == "main" and error["hook"] == "cpuset" for error in explained(node)["errors"])


def test_a_question_without_a_pod_and_one_with_an_unknown_parameter_are_refused() -> None:
    node = node_with_pinned_pod()
    sources = ExplainSources(
        node.ledger, node._hooks, StandingPolicy(CapturingLogger()), Allocator(), node.machine, NO_RESCTRL, None
    )
    with pytest.raises(BadQuestion, match='expected the parameter "pod"'):
        explain(sources, {})
    with pytest.raises(BadQuestion, match='unknown parameter "field"'):
        explain(sources, {"pod": "shop/p", "field": "cpu.cpus"})
    with pytest.raises(NotHere):
        explain(sources, {"pod": "shop/q"})


@pytest.mark.parametrize(
    ("groups", "shown", "agrees"),
    [
        (("LS", "LS"), "LS", True),
        (("LS", ""), "LS, (root group)", False),
        (("BE",), "BE", False),
        (("",), "(root group)", False),
        ((), None, None),
    ],
)
def test_the_group_in_the_kernel_is_that_of_the_threads(
    groups: tuple[str, ...], shown: str | None, agrees: bool | None
) -> None:
    resctrl = FakeResctrl()
    for group in ("LS", "BE"):
        resctrl.tree.make(group)
    for group in groups:
        resctrl.spawn("c", group)
    kernel = Kernel(Writer(ROOT, 2, FakeKernel(2)), NodeState(), lambda: resctrl.tree)
    found = kernel.now("c", fields.RDT_CLOSID, "", "LS")
    assert (found["kernel"], found["agrees"]) == (shown, agrees)
