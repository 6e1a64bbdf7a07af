"""The chain: whose turn it is, what a failing or slow hook costs, and who refuses a container."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from koordnri.chain import BUCKET_BOUNDS_NS, Chain, ChainError, ContainerRefused, Snapshot
from koordnri.hook import ClassContext, Hook
from koordnri.hook.context import ContainerContext
from koordnri.model import AnnotationError, Container, Event, Field, KubeQoS, NodeError, NodeState, Pod, fields
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.resources import NOTHING
from koordnri.policy import DEFAULT_POLICY, Policy, load_policy, resolve
from tests.support.policies import policy_of
from tests.support.waiting import PATIENCE_S

POD = Pod("sandbox", "uid-1", "default", "web")
CONTAINER = Container("c1", "main", "sandbox", NOTHING)
DEFAULT = Snapshot.of(DEFAULT_POLICY, NodeState())


class Clock:
    """Nanoseconds that pass only when somebody says so."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def hook(
    name: str,
    order: int,
    owns: tuple[Field, ...] = (),
    decide: Callable[[Any], None] | None = None,
    decide_pod: Callable[[Any], None] | None = None,
) -> Hook:
    """A hook that does only what is given."""
    members: dict[str, Any] = {"name": name, "order": order, "owns": owns}
    if decide is not None:
        members["decide"] = lambda self, ctx: decide(ctx)
    if decide_pod is not None:
        members["decide_pod"] = lambda self, ctx: decide_pod(ctx)
    return type(f"Hook_{name}", (Hook,), members)()


def sets(field: Field, value: Any, key: str = "") -> Callable[[Any], None]:
    return lambda ctx: ctx.set(field, value, "because", key)


def raises(error: Exception) -> Callable[[Any], None]:
    def decide(ctx: Any) -> None:
        raise error

    return decide


def decide(chain: Chain, event: Event = Event.CREATE, under: Policy = DEFAULT_POLICY, **more: Any) -> Any:
    return chain.decide_container(POD, CONTAINER, event, Snapshot.of(under, DEFAULT.node), **more)


def values(decision: Any) -> dict[str, Any]:
    return {name: s.value for name, s in decision.settings.items()}


QUOTA = hook("quota", 20, (fields.CPU_QUOTA,), sets(fields.CPU_QUOTA, -1))
CPUS = hook("cpus", 10, (fields.CPU_CPUS,), sets(fields.CPU_CPUS, "0-3"))


class OnlyWithoutQuota(Hook):
    """Has work only where the policy keeps quotas."""

    name, order, owns = "sometimes", 30, (fields.CPU_SHARES,)

    def has_work(self, policy: Policy) -> bool:
        return policy.cpuset.keep_quota

    def decide(self, ctx: ContainerContext) -> None:
        ctx.set(fields.CPU_SHARES, 2, "because")


def test_a_hook_without_work_under_a_policy_is_not_asked_and_not_listed() -> None:
    chain = Chain([OnlyWithoutQuota()])
    assert decide(chain) == decide(Chain([]))
    keeps = policy_of(koordnri_config={"hooks": {"cpuset": {"keepQuota": True}}})
    assert values(decide(chain, under=keeps)) == {"cpu.shares": 2}


# -- order and ownership ----------------------------------------------------------------------------------------------


def test_hooks_decide_in_their_order_and_not_in_that_of_their_names_or_of_installation():
    asked: list[str] = []
    hooks = [
        hook(name, order, (), lambda ctx, n=name: asked.append(n)) for name, order in (("a", 3), ("b", 1), ("c", 2))
    ]
    chain = Chain(hooks)
    decide(chain)
    assert asked == ["b", "c", "a"]
    assert chain.order == ("b", "c", "a")


def test_a_later_hook_sees_what_the_earlier_ones_decided():
    seen = []
    later = hook("later", 11, (), lambda ctx: seen.append(ctx.value(fields.CPU_CPUS)))
    decide(Chain([later, CPUS]))
    assert seen == ["0-3"]


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (hook("twin", 1), hook("twin", 2), ["twin", "Hook_twin", "uninstall"]),
        (hook("left", 7), hook("right", 7), ["left", "right", "order 7"]),
        (
            hook("left", 1, (fields.CPU_QUOTA,)),
            hook("right", 2, (fields.MEMORY_HIGH, fields.CPU_QUOTA)),
            ["cpu.quota", "left", "right"],
        ),
    ],
    ids=["name", "order", "owner"],
)
def test_hooks_that_clash_are_refused_with_both_names(first, second, words):
    with pytest.raises(ChainError) as refusal:
        Chain([second, first])
    assert all(word in str(refusal.value) for word in words)


def test_only_the_levels_that_a_hook_has_are_asked():
    for_pods = hook("pods", 1, (fields.MEMORY_MIN,), decide_pod=sets(fields.MEMORY_MIN, 4096))
    chain = Chain([for_pods, CPUS])
    assert values(decide(chain)) == {"cpu.cpus": "0-3"}
    assert values(chain.decide_pod(POD, DEFAULT)) == {"memory.min": 4096}
    assert chain.stats["cpus"].buckets.count(0) == len(chain.stats["cpus"].buckets) - 1, "one call, not two"


def test_a_pod_level_failure_costs_that_hooks_fields_and_never_raises():
    must = policy_of(koordnri_config={"hooks": {"bad": {"failurePolicy": "fail"}}})
    bad = hook("bad", 1, (fields.MEMORY_LOW,), decide_pod=raises(RuntimeError("broken")))
    good = hook("good", 2, (fields.MEMORY_MIN,), decide_pod=sets(fields.MEMORY_MIN, 4096))
    decision = Chain([bad, good]).decide_pod(POD, Snapshot.of(must, NodeState()))
    assert values(decision) == {"memory.min": 4096}
    assert [e.hook for e in decision.errors] == ["bad"]


# -- failures ---------------------------------------------------------------------------------------------------------


def test_a_hook_that_sets_what_it_does_not_own_loses_its_fields_and_nobody_elses():
    def greedy(ctx: Any) -> None:
        ctx.set(fields.MEMORY_LIMIT, 1 << 30, "mine")
        ctx.set(fields.CPU_CPUS, "7", "not mine")

    decision = decide(Chain([CPUS, hook("greedy", 15, (fields.MEMORY_LIMIT,), greedy), QUOTA]))
    assert values(decision) == {"cpu.cpus": "0-3", "cpu.quota": -1}
    [error] = decision.errors
    assert (error.hook, error.fault) == ("greedy", "bug")
    assert "cpu.cpus" in error.message
    assert "owns" in error.message
    assert decision.skipped["greedy"] == error.message


@pytest.mark.parametrize(
    ("error", "fault", "words"),
    [
        (AnnotationError(RESOURCE_STATUS.key, "expected a cpuset"), "pod", RESOURCE_STATUS.key),
        (NodeError("resctrl", "gone"), "node", "resctrl: gone"),
        (ZeroDivisionError("division by zero"), "bug", "ZeroDivisionError: division by zero"),
    ],
)
def test_whose_fault_it_is_follows_from_the_error(error, fault, words):
    chain = Chain([hook("bad", 1, (fields.CPU_CPUS,), raises(error))])
    [reported] = decide(chain).errors
    assert (reported.hook, reported.fault) == ("bad", fault)
    assert words in reported.message
    assert chain.stats["bad"].errors == {fault: 1}


def test_a_malformed_annotation_costs_the_hook_that_reads_it_on_that_pod():
    pod = Pod("sandbox", "uid-1", "default", "web", annotations={RESOURCE_STATUS.key: '{"cpuset": 5}'})
    chain = Chain([hook("reader", 1, (fields.CPU_CPUS,), lambda ctx: RESOURCE_STATUS.of(ctx.pod)), QUOTA])
    decision = chain.decide_container(pod, CONTAINER, Event.CREATE, DEFAULT)
    assert values(decision) == {"cpu.quota": -1}
    [error] = decision.errors
    assert error.fault == "pod"
    assert RESOURCE_STATUS.key in error.message
    assert "$.cpuset" in error.message, "the position of the mistake"


def test_part_errors_are_reported_and_counted_without_costing_the_hooks_other_parts():
    def partly(ctx: Any) -> None:
        ctx.error(AnnotationError("disks", "no such disk"))
        ctx.set(fields.CPU_QUOTA, 5000, "the rest")

    chain = Chain([hook("partly", 1, (fields.CPU_QUOTA,), partly)])
    decision = decide(chain)
    assert values(decision) == {"cpu.quota": 5000}
    assert [(e.hook, e.fault) for e in decision.errors] == [("partly", "pod")]
    assert chain.stats["partly"].errors == {"pod": 1}


@pytest.mark.parametrize("event", list(Event))
def test_fail_refuses_a_container_at_create_only(event):
    must = policy_of(koordnri_config={"hooks": {"bad": {"failurePolicy": "fail"}}})
    chain = Chain([hook("bad", 1, (fields.CPU_CPUS,), raises(RuntimeError("broken"))), QUOTA])
    if event is Event.CREATE:
        with pytest.raises(ContainerRefused, match=r"bad .*broken.*koordnri-config\.hooks\.bad\.failurePolicy: fail"):
            decide(chain, event, must)
    else:
        assert values(decide(chain, event, must)) == {"cpu.quota": -1}
    assert chain.stats["bad"].errors == {"bug": 1}


def test_a_refusal_has_what_would_have_been_decided():
    chain = Chain([hook("bad", 1, (fields.CPU_CPUS,), raises(RuntimeError("broken"))), QUOTA])
    with pytest.raises(ContainerRefused) as refusal:
        decide(chain, under=policy_of(koordnri_config={"hooks": {"bad": {"failurePolicy": "fail"}}}))
    assert values(refusal.value.decision) == {"cpu.quota": -1}
    assert [e.hook for e in refusal.value.decision.errors] == ["bad"]


def test_required_are_hooks_that_decide_containers_are_enforced_and_must_not_fail():
    chain = Chain([hook("pods", 1, (fields.MEMORY_MIN,), decide_pod=sets(fields.MEMORY_MIN, 4096)), CPUS])
    for mode, names in (("enforce", ("cpus",)), ("observe", ()), ("off", ())):
        options = {"failurePolicy": "fail", "mode": mode}
        policy = policy_of(koordnri_config={"hooks": {"cpus": options, "pods": options}})
        assert chain.required(policy) == names
    assert chain.required(DEFAULT_POLICY) == ()


def test_ignore_is_the_default_failure_policy():
    assert values(decide(Chain([hook("bad", 1, (), raises(RuntimeError())), QUOTA]))) == {"cpu.quota": -1}


def test_a_hook_that_is_off_is_not_asked_and_says_so_until_the_policy_changes():
    chain, off = Chain([CPUS, QUOTA]), policy_of(koordnri_config={"hooks": {"cpus": {"mode": "off"}}})
    before = decide(chain)
    switched_off = decide(chain, under=off)
    after = decide(chain)
    assert values(before) == values(after) == {"cpu.cpus": "0-3", "cpu.quota": -1}
    assert values(switched_off) == {"cpu.quota": -1}
    assert "koordnri-config.hooks.cpus.mode" in switched_off.skipped["cpus"]
    assert "cpus" not in after.skipped


OBSERVED = policy_of(koordnri_config={"hooks": {"quota": {"mode": "observe", "failurePolicy": "fail"}}})


def test_what_an_observed_hook_decides_is_shown_and_not_applied():
    decision = decide(Chain([CPUS, QUOTA]), under=OBSERVED)
    assert values(decision) == {"cpu.cpus": "0-3"}
    [(name, shown)] = decision.observed.items()
    assert (name, shown.value, shown.hook, shown.reason, shown.route) == (
        "cpu.quota",
        -1,
        "quota",
        "because",
        "observe",
    )
    of_pod = Chain([hook("quota", 20, (fields.CPU_QUOTA,), decide_pod=sets(fields.CPU_QUOTA, -1))])
    own = of_pod.decide_pod(POD, Snapshot.of(OBSERVED, DEFAULT.node))
    assert (values(own), list(own.observed)) == ({}, ["cpu.quota"])


def test_an_observed_hook_that_fails_costs_nothing():
    """Neither the container, whatever its failure policy, nor what other containers have of its fields: they go back."""

    def half(ctx: Any) -> None:
        ctx.set(fields.CPU_QUOTA, 5, "at first")
        raise ValueError("then not")

    decision = decide(Chain([hook("quota", 20, (fields.CPU_QUOTA,), half)]), under=OBSERVED)
    assert (decision.settings, decision.observed, decision.undecided) == ({}, {}, frozenset())
    assert [(e.hook, e.fault) for e in decision.errors] == [("quota", "bug")]


def test_later_hooks_do_not_build_on_what_is_only_observed():
    seen: list[Any] = []
    looks = hook("looks", 30, (), lambda ctx: seen.append(ctx.value(fields.CPU_QUOTA)))
    chain = Chain([QUOTA, looks])
    decide(chain)
    decide(chain, under=OBSERVED)
    assert seen == [-1, None]


@pytest.mark.parametrize(
    ("config", "released", "why"),
    [
        ({"namespacesLeftAlone": ["kube-system", "default"]}, frozenset(), "namespacesLeftAlone"),
        ({}, frozenset({"sandbox"}), "koordnri release"),
        ({}, frozenset({"*"}), "koordnri release"),
        ({"namespacesLeftAlone": ["kube-system"]}, frozenset({"another"}), ""),
    ],
)
def test_nobody_is_asked_about_a_pod_that_is_left_alone(config, released, why):
    document = load_policy(json.dumps({"koordnri-config": config}), "test")
    snapshot = Snapshot.of(resolve(document, "node-1", {}), NodeState(released=released))
    chain = Chain([CPUS, hook("of-pod", 20, (fields.CPU_QUOTA,), decide_pod=sets(fields.CPU_QUOTA, -1))])
    of_container = chain.decide_container(POD, CONTAINER, Event.CREATE, snapshot)
    of_pod = chain.decide_pod(POD, snapshot)
    if not why:
        assert (values(of_container), values(of_pod)) == ({"cpu.cpus": "0-3"}, {"cpu.quota": -1})
        return
    assert (values(of_container), values(of_pod)) == ({}, {})
    assert why in of_container.skipped["cpus"]
    assert why in of_pod.skipped["of-pod"]
    assert of_container.undecided == frozenset(), "what was set goes back"


def test_a_class_is_decided_from_its_pods_but_those_that_are_left_alone():
    class Sums(Hook):
        name, order, owns = "sums", 11, (fields.MEMORY_MIN,)

        def decide_class(self, ctx: ClassContext) -> None:
            ctx.set(fields.MEMORY_MIN, len(ctx.pods), ctx.kube_qos.value)

    chain = Chain([Sums(), CPUS])
    pods = [POD, Pod("other", "uid-2", "default", "db")]
    node = NodeState(released=frozenset({"other"}))
    decision = chain.decide_class(KubeQoS.BURSTABLE, pods, Snapshot.of(DEFAULT_POLICY, node))
    assert values(decision) == {"memory.min": 1}
    assert [s.route for s in decision.settings.values()] == ["write"]
    assert chain.decides_classes
    assert not Chain([CPUS]).decides_classes
    gone = chain.decide_class(KubeQoS.BURSTABLE, pods, Snapshot.of(DEFAULT_POLICY, NodeState(released=frozenset("*"))))
    assert values(gone) == {}, "everything is kubelet's"


# -- the budget -------------------------------------------------------------------------------------------------------


def slow(clock: Clock, took_ns: int, field: Field, value: Any) -> Callable[[Any], None]:
    def work(ctx: Any) -> None:
        clock.now_ns += took_ns
        ctx.set(field, value, "at last")

    return work


def test_hooks_after_the_deadline_are_not_asked():
    clock, asked = Clock(), []
    overrunning = hook("slow", 5, (fields.MEMORY_HIGH,), slow(clock, 101, fields.MEMORY_HIGH, 4096))
    third = hook("third", 30, (), asked.append)
    chain = Chain([overrunning, QUOTA, third], clock)
    decision = decide(chain, deadline_ns=100)
    assert values(decision) == {"memory.high": 4096}, "what took too long is decided all the same"
    assert decision.late
    assert asked == []
    assert [(e.hook, e.fault) for e in decision.errors] == [("quota", "late"), ("third", "late")]
    assert "budget" in decision.skipped["quota"]
    assert chain.stats["quota"].errors == {"late": 1}


def test_the_deadline_itself_is_in_time():
    clock = Clock()
    chain = Chain([hook("slow", 5, (fields.MEMORY_HIGH,), slow(clock, 100, fields.MEMORY_HIGH, 4096)), QUOTA], clock)
    decision = decide(chain, deadline_ns=100)
    assert values(decision) == {"memory.high": 4096, "cpu.quota": -1}
    assert not decision.late


def test_a_late_hook_that_must_decide_refuses_the_container():
    clock = Clock()
    chain = Chain([hook("slow", 5, (fields.MEMORY_HIGH,), slow(clock, 101, fields.MEMORY_HIGH, 1)), QUOTA], clock)
    with pytest.raises(ContainerRefused, match=r"quota .*budget"):
        decide(chain, under=policy_of(koordnri_config={"hooks": {"quota": {"failurePolicy": "fail"}}}), deadline_ns=100)


def test_every_call_is_in_one_bucket_and_in_the_total():
    clock = Clock()
    durations = [0, 1, 1023, 1024, 1025, 2048, 5_000_000, BUCKET_BOUNDS_NS[-1], BUCKET_BOUNDS_NS[-1] * 10]
    durations_left = iter(durations)
    chain = Chain(
        [hook("timed", 1, (), lambda ctx: setattr(clock, "now_ns", clock.now_ns + next(durations_left)))], clock
    )
    for _ in durations:
        decide(chain)
    stats = chain.stats["timed"]
    assert stats.total_ns == sum(durations)
    assert sum(stats.buckets) == len(durations)
    bounds = [0, *BUCKET_BOUNDS_NS, 1 << 99]
    for i, count in enumerate(stats.buckets):
        assert count == sum(bounds[i] <= took < bounds[i + 1] for took in durations), f"bucket up to {bounds[i + 1]}"


def test_fields_of_hooks_that_did_not_decide_are_reported_as_undecided():
    clock = Clock()
    hooks = [
        hook("bad", 1, (fields.CPU_CPUS,), raises(RuntimeError())),
        hook("slow", 5, (fields.MEMORY_HIGH,), slow(clock, 101, fields.MEMORY_HIGH, 1)),
        QUOTA,
    ]
    assert decide(Chain(hooks, clock), deadline_ns=100).undecided == {fields.CPU_CPUS, fields.CPU_QUOTA}
    off = policy_of(koordnri_config={"hooks": {"quota": {"mode": "off"}}})
    assert decide(Chain([QUOTA]), under=off).undecided == frozenset(), "off is decided"


# -- a hook that does not return --------------------------------------------------------------------------------------


class Stuck:
    """A hook that holds its caller until `let_go`, and the thread that is held."""

    def __init__(self, under: Policy = DEFAULT_POLICY, event: Event = Event.CREATE, raising: bool = False) -> None:
        self.let_go = threading.Event()
        self._entered = threading.Event()
        self._raising = raising
        self.asked = 0
        self.chain = Chain([CPUS, hook("stuck", 15, (fields.MEMORY_HIGH, fields.MEMORY_LOW), self._decide), QUOTA])
        self.ctx = self.chain.context(POD, CONTAINER, event, Snapshot.of(under, DEFAULT.node))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._entered.wait(PATIENCE_S)

    def _decide(self, ctx: Any) -> None:
        self.asked += 1
        ctx.set(fields.MEMORY_LOW, 4096, "before it hangs")
        self._entered.set()
        assert self.let_go.wait(PATIENCE_S)
        if self._raising:
            raise RuntimeError("broken, and late")
        ctx.set(fields.MEMORY_HIGH, 8192, "after it hung")

    def _run(self) -> None:
        try:
            self.outcome: Any = self.chain.run(self.ctx)
        except ContainerRefused as refusal:
            self.outcome = refusal

    def finish(self) -> Any:
        """Let it go; what `run` came to."""
        self.let_go.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self.outcome


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    stuck = Stuck()
    yield stuck
    stuck.finish()


def test_an_early_answer_has_what_the_hooks_before_the_stuck_one_decided(stuck):
    partial = stuck.chain.answer_early(stuck.ctx)
    assert values(partial) == {"cpu.cpus": "0-3"}, "nothing half-decided of the stuck one, nothing of those after it"
    assert partial.late
    assert [(e.hook, e.fault) for e in partial.errors] == [("stuck", "late"), ("quota", "late")]
    assert "container main" in partial.skipped["stuck"]
    assert partial.undecided == {fields.MEMORY_HIGH, fields.MEMORY_LOW, fields.CPU_QUOTA}


def test_what_a_stuck_hook_does_later_does_not_reach_the_answer_that_was_given(stuck):
    partial = stuck.chain.answer_early(stuck.ctx)
    assert "memory.high" in values(stuck.finish())
    assert values(partial) == {"cpu.cpus": "0-3"}


def test_a_stuck_hook_is_not_asked_again_until_it_returns(stuck):
    stuck.chain.answer_early(stuck.ctx)
    meanwhile = decide(stuck.chain)
    assert stuck.asked == 1
    assert values(meanwhile) == {"cpu.cpus": "0-3", "cpu.quota": -1}
    assert [(e.hook, e.fault) for e in meanwhile.errors] == [("stuck", "late")]
    stuck.finish()
    assert set(values(decide(stuck.chain))) == {"cpu.cpus", "cpu.quota", "memory.low", "memory.high"}
    assert stuck.asked == 2


@pytest.mark.parametrize("must", ["stuck", "quota"])
@pytest.mark.parametrize("event", [Event.CREATE, Event.UPDATE])
def test_an_early_answer_refuses_what_must_not_start_without_the_missing_hooks(must, event):
    stuck = Stuck(policy_of(koordnri_config={"hooks": {must: {"failurePolicy": "fail"}}}), event)
    try:
        if event is Event.CREATE:
            with pytest.raises(ContainerRefused, match=rf"{must} .*failurePolicy: fail"):
                stuck.chain.answer_early(stuck.ctx)
        else:
            assert values(stuck.chain.answer_early(stuck.ctx)) == {"cpu.cpus": "0-3"}
    finally:
        stuck.finish()


def test_a_stuck_hook_that_ends_by_raising_is_asked_again():
    stuck = Stuck(policy_of(koordnri_config={"hooks": {"stuck": {"failurePolicy": "fail"}}}), raising=True)
    with pytest.raises(ContainerRefused):
        stuck.chain.answer_early(stuck.ctx)
    assert isinstance(stuck.finish(), ContainerRefused)
    decide(stuck.chain)
    assert stuck.asked == 2


def test_a_hook_that_returns_just_as_it_is_found_stuck_is_asked_again():
    """The watchdog may read whose turn it is, and mark that hook as stuck after it has returned."""
    asked: list[str] = []

    class Watchdog(Clock):
        ctx: ContainerContext | None = None

        def __call__(self) -> int:  # the chain looks at the clock after each hook, before the next one's turn
            if self.ctx is not None and self.ctx.hook == "first":
                chain.answer_early(self.ctx)
            return 0

    clock = Watchdog()
    chain = Chain([hook("first", 1, (), lambda ctx: asked.append("first")), QUOTA], clock)
    clock.ctx = chain.context(POD, CONTAINER, Event.CREATE, DEFAULT)
    chain.run(clock.ctx)
    clock.ctx = None
    decision = decide(chain)
    assert asked == ["first", "first"]
    assert not decision.errors


def test_an_early_answer_when_all_hooks_are_done_is_the_whole_decision():
    chain = Chain([CPUS, QUOTA])
    ctx = chain.context(POD, CONTAINER, Event.CREATE, DEFAULT)
    chain.run(ctx)
    partial = chain.answer_early(ctx)
    assert values(partial) == {"cpu.cpus": "0-3", "cpu.quota": -1}
    assert not partial.errors


def test_a_pods_context_knows_the_routes_of_a_pods_cgroup():
    routes = []
    chain = Chain([hook("looks", 1, (fields.MEMORY_MIN,), decide_pod=lambda ctx: routes.append(ctx.routes))])
    chain.decide_pod(POD, DEFAULT)
    assert routes == [DEFAULT.node.pod_routes]
