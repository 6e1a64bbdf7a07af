"""Whatever order policies, pods, annotations, releases and restarts come in: the groups are those that are wanted, no orphan is left,
every thread is in the group of its container, and nothing of others was touched.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from koordnri.model.resctrl_spec import RESCTRL
from koordnri.model.schemata import cache_mask
from koordnri.resctrl.choice import CLASS_GROUPS, POD_PREFIX, is_ours, pod_group
from tests.examples import examples
from tests.host.fake_resctrl import FakeResctrl
from tests.resctrl.resctrl_node import OFF, ResctrlNode, asks, classes, is_bad

ANNOTATIONS = st.sampled_from(
    [
        None,
        None,
        asks([0, 50]),
        asks([20, 80], 35),
        asks(mb=10),
        "{}",
        '{"llc": {"schemataPerCache": [{"cacheID": 1, "range": [0, 30]}]}}',
        "{",
        asks([80, 20]),
    ]
)
QOS = st.sampled_from(["LSE", "LSR", "LS", "BE", "SYSTEM", ""])
CLASSES = st.fixed_dictionaries(
    {},
    optional={
        name: st.fixed_dictionaries(
            {}, optional={"catRangeEndPercent": st.integers(40, 100), "mbaPercent": st.integers(0, 100)}
        )
        for name in ("lsr", "ls", "be")
    },
)
FOREIGN = "kubepods/podforeign/c"


class Life(RuleBasedStateMachine):
    """After each rule, passes run until nothing is done any more."""

    @initialize(num_closids=st.integers(1, 9))
    def boot(self, num_closids: int) -> None:
        kernel = FakeResctrl(num_closids=num_closids)
        self.node = ResctrlNode(kernel)
        self.enabled: dict[str, dict[str, int]] = {}
        self.serial = 0
        if num_closids > 1:
            kernel.tree.make("gold")
            kernel.tree.set_line("gold", "L3", {0: 0x3})
            self.foreign = kernel.spawn(FOREIGN, "gold")

    def settle(self) -> None:
        for _ in range(6):
            self.node.kernel.log.clear()
            self.node.run_pass()
            if not self.node.kernel.log:
                return
        raise AssertionError(f"still busy after six passes: {self.node.kernel.log}")

    @rule(enabled=CLASSES, restarted=st.booleans())
    def policy(self, enabled: dict[str, dict[str, int]], restarted: bool) -> None:
        self.enabled = enabled
        if restarted:
            self.node = self.node.restarted()
        self.node.set_policy(**classes(**enabled))
        self.settle()

    @rule()
    def hook_off(self) -> None:
        self.enabled = {}
        self.node.set_policy(**OFF)
        self.settle()

    @precondition(lambda self: len(self.node.pods) < 8)
    @rule(qos=QOS, annotation=ANNOTATIONS, containers=st.integers(1, 2), threads=st.integers(1, 3))
    def pod_comes(self, qos: str, annotation: str | None, containers: int, threads: int) -> None:
        self.serial += 1
        self.node.pod(f"p{self.serial}", qos, annotation, containers, threads)
        self.settle()

    @precondition(lambda self: self.node.pods)
    @rule(data=st.data(), restarted=st.booleans())
    def pod_goes(self, data: st.DataObject, restarted: bool) -> None:
        self.node.kill(data.draw(st.sampled_from(sorted(self.node.pods))))
        if restarted:
            self.node = self.node.restarted(lost=True)
        self.settle()

    @precondition(lambda self: self.node.pods)
    @rule(data=st.data(), annotation=ANNOTATIONS)
    def annotation_changes(self, data: st.DataObject, annotation: str | None) -> None:
        self.node.annotate(data.draw(st.sampled_from(sorted(self.node.pods))), annotation)
        self.settle()

    @precondition(lambda self: self.node.pods)
    @rule(data=st.data())
    def pod_is_released(self, data: st.DataObject) -> None:
        self.node.released |= {data.draw(st.sampled_from(sorted(self.node.pods)))}
        self.settle()

    @precondition(lambda self: self.node.kernel.threads)
    @rule(data=st.data(), into_root=st.booleans())
    def threads_appear(self, data: st.DataObject, into_root: bool) -> None:
        tid = data.draw(st.sampled_from(sorted(self.node.kernel.threads)))
        if self.node.kernel.threads[tid].cgroup == FOREIGN:
            return
        born = self.node.kernel.fork(tid)
        if into_root:  # as a process does that the runtime executes in a container
            self.node.kernel.threads[born].group = ""
        self.settle()

    @rule(lost=st.booleans())
    def restart(self, lost: bool) -> None:
        self.node = self.node.restarted(lost=lost)
        self.settle()

    @rule()
    def reboot(self) -> None:
        kernel = self.node.kernel
        for group in [g for g in kernel.groups if is_ours(g)]:
            kernel.remove(f"/fake/sys/fs/resctrl/{group}")
        self.node = self.node.restarted()
        self.settle()

    # what holds at rest

    @property
    def off(self) -> bool:
        return self.node.policy.hook_mode("rdt") == "off"

    @property
    def wanted(self) -> list[str]:
        if self.off:
            return []
        pods = [
            pod_group(p)
            for p in self.node.pods.values()
            if RESCTRL.key in p.annotations and p.id not in self.node.released and not is_bad(p)
        ]
        return [g for g in CLASS_GROUPS if g.lower() in self.enabled] + pods

    @invariant()
    def the_groups_are_those_that_are_wanted(self) -> None:
        node = self.node
        there, wanted = node.ours() - {"gold"}, self.wanted
        kept = {pod_group(p) for p in node.pods.values() if is_bad(p)}
        empty_classes = {g for g in there if g in CLASS_GROUPS and g not in wanted}
        extra = there - set(wanted) - kept - empty_classes
        assert not extra, "orphans"
        missing = set(wanted) - there
        assert missing == node.groups.refused.keys()
        if missing:
            assert len(node.kernel.groups) == node.kernel.num_closids, "refused although a class was left"
            pods_there = [g for g in wanted if g.startswith(POD_PREFIX) and g in there]
            assert not (missing & set(CLASS_GROUPS) and pods_there), "a class comes before pods"

    @invariant()
    def enabled_classes_have_their_share_and_others_all_of_it(self) -> None:
        for group in set(CLASS_GROUPS) & self.node.ours():
            lines = self.node.lines(group)
            asked = self.enabled.get(group.lower())
            default = 30 if group == "BE" else 100
            end = 100 if asked is None else asked.get("catRangeEndPercent", default)
            assert set(lines["L3"].values()) == {cache_mask(0x7FF, 0, end).bits}
            percent = 100 if asked is None else asked.get("mbaPercent", 100) or 100
            assert set(lines["MB"].values()) == {max(-(-percent // 10) * 10, 10)}
            if asked is None:
                assert not [t for t in self.node.kernel.threads.values() if t.group == group]

    @invariant()
    def every_thread_is_where_its_container_belongs(self) -> None:
        for name in self.node.pods:
            decided = self.node.decided(name)
            if decided is not None:
                assert self.node.group_of(name) == {decided}

    @invariant()
    def nothing_of_others_was_touched(self) -> None:
        kernel = self.node.kernel
        if "gold" in kernel.groups:
            assert kernel.groups["gold"].lines == {"L3": {0: 0x3, 1: 0x7FF}, "MB": {0: 100, 1: 100}}
            assert kernel.threads[self.foreign].group == "gold"
        assert set(kernel.groups[""].lines["L3"].values()) == {0x7FF}


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=examples(60), stateful_step_count=25, deadline=None)
