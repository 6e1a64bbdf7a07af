"""Resctrl groups of classes and pods follow policy, pods and annotations; threads follow their containers' decisions."""

import errno
import os
import threading

import pytest

from koordnri.model import Event
from koordnri.resctrl.groups import MOST_PASSES, NO_CLASS, OWN_PID_NAMESPACE, READ_ONLY
from tests.host.fake_resctrl import FakeResctrl
from tests.resctrl.resctrl_node import OFF, ResctrlNode, asks, classes

FULL = {"L3": {0: 0x7FF, 1: 0x7FF}, "MB": {0: 100, 1: 100}}
BE_HALF = classes(be={"catRangeEndPercent": 50, "mbaPercent": 45})
HALF = {"L3": {0: 0x3F, 1: 0x3F}, "MB": {0: 50, 1: 50}}


# -- classes ----------------------------------------------------------------------------------------------------------


def test_by_default_nothing_is_touched():
    node = ResctrlNode()
    node.kernel.tree.make("BE")  # of somebody else, such as a koordlet beside us
    tid = node.kernel.spawn("kubepods/besteffort/podx/c", "BE")
    node.pod("p", "BE")
    node.kernel.log.clear()
    for one in (node, node.restarted()):
        assert one.run_pass()[0] == []
    assert node.kernel.log == []
    assert node.kernel.threads[tid].group == "BE"


def test_enabled_classes_have_groups_with_their_schemata_and_their_pods_threads():
    node = ResctrlNode()
    node.set_policy(**classes(lsr={}, ls={"catRangeStartPercent": 30}, be={"catRangeEndPercent": 30, "mbaPercent": 50}))
    for name, qos in (("a", "LSE"), ("b", "LSR"), ("c", "LS"), ("d", "BE"), ("s", "SYSTEM")):
        node.pod(name, qos, containers=2, threads=3)
    node.run_pass()
    assert node.ours() == {"LSR", "LS", "BE"}
    assert node.lines("LSR") == FULL
    assert node.lines("LS") == {"L3": {0: 0x7F0, 1: 0x7F0}, "MB": {0: 100, 1: 100}}
    assert node.lines("BE") == {"L3": {0: 0xF, 1: 0xF}, "MB": {0: 50, 1: 50}}
    assert {n: node.group_of(n) for n in node.pods} == {"a": {"LSR"}, "b": {"LSR"}, "c": {"LS"}, "d": {"BE"}, "s": {""}}
    assert node.groups.stats.moved == 4 * 2 * 3
    assert node.groups.stats.groups == 3


def test_nothing_is_written_when_nothing_changes():
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.pod("p", "BE")
    node.run_pass()
    node.kernel.log.clear()
    for one in (node, node.restarted(), node.restarted(lost=True)):
        assert one.run_pass() == ([], (0, 0, ()))
    assert node.kernel.log == []


def test_a_changed_policy_changes_only_the_lines_that_differ():
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.run_pass()
    node.kernel.log.clear()
    node.set_policy(**classes(be={"catRangeEndPercent": 50, "mbaPercent": 20}))
    node.run_pass()
    assert node.kernel.log == [("schemata", "BE", "MB:0=20;1=20;\n")]


@pytest.mark.parametrize("off", [{}, OFF, classes(ls={})], ids=["feature", "hook", "other-class-stays"])
def test_a_class_that_is_switched_off_has_all_of_it_back_and_its_threads_are_in_the_root_group(off):
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.pod("p", "BE")
    node.run_pass()
    stray = node.kernel.spawn("kubepods/besteffort/podgone/c", "BE")
    node.set_policy(**off)
    node.run_pass()
    assert node.lines("BE") == FULL
    assert node.group_of("p") == {""}
    assert node.kernel.threads[stray].group == ""
    # Once: what somebody else does with that name afterwards is his affair.
    node.kernel.tree.set_line("BE", "L3", {0: 1})
    node.run_pass()
    node.restarted().run_pass()
    assert node.lines("BE")["L3"][0] == 1
    assert "BE" not in node.state


def test_a_class_that_was_switched_off_while_we_were_away_is_given_back_too():
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.pod("p", "BE")
    node.run_pass()
    node.policy = ResctrlNode().policy
    node.restarted().run_pass()
    assert node.lines("BE") == FULL
    assert node.group_of("p") == {""}


def test_schemata_that_somebody_changed_are_put_right_and_counted():
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.run_pass()
    node.kernel.tree.set_line("BE", "MB", {1: 100})
    node.run_pass()
    assert node.lines("BE") == HALF
    assert node.groups.stats.drift == 1


def test_a_group_that_somebody_removed_is_made_again():
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.pod("p", "BE")
    node.run_pass()
    node.kernel.tree.remove("BE")
    node.run_pass()
    assert node.lines("BE") == HALF
    assert node.group_of("p") == {"BE"}
    assert node.groups.stats.drift == 0


def test_a_line_that_is_refused_costs_no_other_and_is_told_once():
    node = ResctrlNode(FakeResctrl(bandwidth=(60, 10, 100)))

    def refuse(path, text):
        if text.startswith("L3"):
            node.kernel.status = "Mask overlaps with exclusive group"
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    node.kernel.before_write = refuse
    node.set_policy(**BE_HALF)
    outcomes, _ = node.run_pass()
    assert [(o.group, o.what, bool(o.error)) for o in outcomes] == [("BE", "made", False), ("BE", "schemata", True)]
    assert "exclusive group" in outcomes[1].error
    assert node.lines("BE") == {"L3": FULL["L3"], "MB": {0: 60, 1: 60}}
    assert node.run_pass()[0] == []
    node.kernel.before_write = lambda path, text: None
    assert [(o.what, o.error) for o in node.run_pass()[0]] == [("schemata", "")]


def test_a_range_that_had_to_be_widened_is_said_once():
    node = ResctrlNode(FakeResctrl(cbm=0xFF, min_bits=3))
    node.set_policy(**classes(be={"catRangeEndPercent": 10}))
    outcomes, _ = node.run_pass()
    assert [o.what for o in outcomes] == ["made", "note", "schemata"]
    assert "widened to mask 7" in outcomes[1].error
    assert node.lines("BE")["L3"] == {0: 7, 1: 7}
    assert node.run_pass()[0] == []


def test_a_node_without_resctrl_or_one_that_loses_it_is_left_in_peace():
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.pod("p", "BE", asks([0, 50]))
    node.run_pass()
    node.kernel.mounted = False
    assert node.run_pass() == ([], (0, 0, ()))
    assert node.groups.stats.groups == 0
    assert not node.threads.place(1000, "BE")


# -- pods -------------------------------------------------------------------------------------------------------------


def test_a_pod_with_an_annotation_has_a_group_of_its_own():
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.pod("p", "BE", asks([20, 80], 20), containers=2)
    node.pod("q", "BE")
    node.run_pass()
    assert node.ours() == {"BE", "koordlet-uid-p"}
    assert node.lines("koordlet-uid-p") == {"L3": {0: 0x1F8, 1: 0x1F8}, "MB": {0: 20, 1: 20}}
    assert (node.group_of("p"), node.group_of("q")) == ({"koordlet-uid-p"}, {"BE"})


def test_a_changed_annotation_is_followed_and_a_removed_one_leads_back_to_the_class_without_a_gap():
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.pod("p", "BE", asks([20, 80]))
    node.run_pass()
    node.annotate("p", asks([0, 50], 30))
    node.run_pass()
    assert node.lines("koordlet-uid-p") == {"L3": {0: 0x3F, 1: 0x3F}, "MB": {0: 30, 1: 30}}
    node.annotate("p", None)
    node.kernel.log.clear()
    node.run_pass()
    assert node.group_of("p") == {"BE"}
    assert node.ours() == {"BE"}
    acts = [act[:2] for act in node.kernel.log]
    assert acts == [("tasks", "BE"), ("tasks", "BE"), ("rmdir", "koordlet-uid-p")], "never without limits in between"


def test_the_group_goes_with_the_pod():
    node = ResctrlNode()
    node.pod("p", "LS", asks([20, 80]))
    node.run_pass()
    node.kill("p")
    node.run_pass()
    assert node.ours() == set()
    assert node.state == []


def test_after_a_restart_groups_are_taken_up_again_and_orphans_collected():
    node = ResctrlNode()
    node.pod("p", "LS", asks([20, 80]))
    node.pod("gone", "LS", asks([20, 80]))
    node.run_pass()
    node.kill("gone")
    node.kernel.tree.make("koordlet-from-before")
    node.kernel.tree.make("somebodys")
    node.kernel.log.clear()
    new = node.restarted(lost=True)
    new.run_pass(complete=False)
    assert node.kernel.log == [], "before the runtime has told of its pods, nobody is an orphan"
    new.run_pass()
    assert sorted(node.kernel.log) == [("rmdir", "koordlet-from-before"), ("rmdir", "koordlet-uid-gone")]
    assert node.ours() == {"koordlet-uid-p", "somebodys"}


@pytest.mark.parametrize("how", ["off", "pod", "all", "namespace"])
def test_a_pod_that_is_released_or_left_alone_is_in_no_group_of_ours(how):
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.pod("p", "BE", asks([20, 80]))
    node.pod("q", "BE")
    node.run_pass()
    match how:
        case "off":
            node.set_policy(**OFF)
        case "pod":
            node.released = frozenset({"p", "q"})
        case "all":
            node.released = frozenset({"*"})
        case "namespace":
            node.set_policy(**BE_HALF, koordnri_config={"clusterStrategy": {"namespacesLeftAlone": ["shop"]}})
    node.run_pass()
    assert node.group_of("p") == node.group_of("q") == {""}
    assert "koordlet-uid-p" not in node.ours()
    assert node.lines("BE") == (FULL if how in ("off", "all") else HALF)


@pytest.mark.parametrize("bad", ["{", asks([80, 20]), asks(llc=None, mb=None, l2={"schemata": {"range": [9]}})])
def test_a_bad_annotation_makes_no_group_and_keeps_the_one_that_there_is(bad):
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.pod("p", "BE", bad)
    node.pod("q", "BE", asks([20, 80]))
    node.run_pass()
    assert node.ours() == {"BE", "koordlet-uid-q"}
    assert node.group_of("p") == {"BE"}
    before = {r: dict(v) for r, v in node.lines("koordlet-uid-q").items()}
    node.annotate("q", bad)
    node.run_pass()
    node.restarted(lost=True).run_pass()
    assert node.lines("koordlet-uid-q") == before
    assert node.group_of("q") == {"koordlet-uid-q"}


def test_a_cache_that_only_the_annotation_knows_is_the_annotations_mistake():
    node = ResctrlNode()
    node.pod("p", "LS", '{"llc": {"schemataPerCache": [{"cacheID": 7, "range": [0, 50]}]}}')
    node.run_pass()
    assert node.ours() == set()
    assert node.decided("p") == ""
    node.set_policy(**classes(ls={}))
    assert node.decided("p") == "LS"


def test_an_annotation_that_comes_back_before_the_threads_have_moved_keeps_its_group():
    node = ResctrlNode()
    node.pod("p", "LS", asks([20, 80]))
    node.run_pass()
    for annotation in (None, asks([20, 80])):
        node.annotate("p", annotation)
        node.groups.reconcile(node.pods.values(), node.policy, node.node)
    node.threads.settle({}, 2)
    assert node.ours() == {"koordlet-uid-p"}


def test_a_second_sandbox_of_a_pod_keeps_its_group():
    node = ResctrlNode()
    node.pod("p", "LS", asks([20, 80]))
    old = node.pods["p"]
    node.pods["p-again"] = type(old)("p-again", old.uid, "shop", "p", old.labels, old.annotations, old.cgroup_parent)
    node.run_pass()
    del node.pods["p"]
    node.run_pass()
    assert node.ours() == {"koordlet-uid-p"}


# -- too few classes --------------------------------------------------------------------------------------------------


def test_when_no_class_is_left_a_pod_joins_its_class_with_the_reason_until_one_is_free():
    node = ResctrlNode(FakeResctrl(num_closids=3))
    node.set_policy(**BE_HALF)
    for name in "abc":
        node.pod(name, "BE", asks([20, 80]))
    outcomes, _ = node.run_pass()
    assert node.ours() == {"BE", "koordlet-uid-a"}
    assert {n: node.group_of(n) for n in "abc"} == {"a": {"koordlet-uid-a"}, "b": {"BE"}, "c": {"BE"}}
    refused = {o.group: (o.error, o.pod.name) for o in outcomes if o.error}
    said = f"{NO_CLASS}: Out of CLOSIDs"
    assert refused == {"koordlet-uid-b": (said, "b"), "koordlet-uid-c": (said, "c")}
    assert node.groups.refused == {"koordlet-uid-b": said, "koordlet-uid-c": said}
    assert node.groups.stats.refused == 2
    assert node.run_pass()[0] == [], "told once"
    node.kill("a")
    node.run_pass()
    node.run_pass()
    assert node.ours() == {"BE", "koordlet-uid-b"}
    assert {n: node.group_of(n) for n in "bc"} == {"b": {"koordlet-uid-b"}, "c": {"BE"}}


class Refusing(FakeResctrl):
    """A kernel that does not make one group, for another reason than that no class is left."""

    unwanted = "koordlet-uid-a"

    def make(self, path):
        self.log.append(("tried", path.rpartition("/")[2]))
        if path.endswith(self.unwanted):
            self.status = "ok"
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        super().make(path)


def test_a_group_that_is_refused_costs_no_other_and_without_a_class_left_only_the_first_is_tried():
    node = ResctrlNode(Refusing(num_closids=3))
    for name in "abcde":
        node.pod(name, "LS", asks([20, 80]))
    node.run_pass()
    assert node.ours() == {"koordlet-uid-b", "koordlet-uid-c"}
    assert "EPERM" in node.groups.refused["koordlet-uid-a"]
    assert node.groups.refused["koordlet-uid-d"].startswith(NO_CLASS)
    assert node.groups.refused["koordlet-uid-e"].startswith(NO_CLASS)
    assert [act[1] for act in node.kernel.log if act[0] == "tried"] == [f"koordlet-uid-{name}" for name in "abcd"]


def test_a_class_comes_before_pods_that_have_groups_of_their_own():
    node = ResctrlNode(FakeResctrl(num_closids=3))
    for name in "ab":
        node.pod(name, "BE", asks([20, 80]))
    node.run_pass()
    assert node.ours() == {"koordlet-uid-a", "koordlet-uid-b"}
    node.set_policy(**BE_HALF)
    node.run_pass()
    assert node.ours() == {"koordlet-uid-a", "BE"}
    assert (node.group_of("a"), node.group_of("b")) == ({"koordlet-uid-a"}, {"BE"})


def test_a_cpu_with_one_class_makes_no_group_at_all():
    node = ResctrlNode(FakeResctrl(num_closids=1))
    node.set_policy(**classes(lsr={}, ls={}, be={}))
    node.pod("p", "LS", asks([20, 80]))
    node.run_pass()
    assert node.ours() == set()
    assert node.group_of("p") == {""}
    assert node.groups.refused.keys() == {"LSR", "LS", "BE", "koordlet-uid-p"}
    assert node.decided("p", Event.CREATE) == ""


# -- threads ----------------------------------------------------------------------------------------------------------


def test_threads_that_are_born_while_others_are_moved_do_not_escape():
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.pod("p", "BE", threads=3)
    births = iter(range(20))

    def busy(path, text):
        tid = int(text) if path.endswith("tasks") else None
        if tid is not None and next(births, None) is not None:
            node.kernel.fork(tid)  # just before its parent is moved

    node.kernel.before_write = busy
    _, settled = node.run_pass()
    assert node.group_of("p") == {"BE"}
    assert len(node.kernel.threads) == 23
    assert (settled.moved, settled.left) == (23, 0)


def test_a_container_that_makes_threads_without_end_does_not_hold_the_pass_up():
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.pod("p", "BE", threads=1)
    node.kernel.before_write = lambda path, text: path.endswith("tasks") and node.kernel.fork(int(text))
    _, settled = node.run_pass()
    assert settled.moved == MOST_PASSES
    assert settled.left == node.groups.stats.unsettled == 1
    node.kernel.before_write = lambda path, text: None
    assert node.run_pass()[1].left == 0
    assert node.group_of("p") == {"BE"}


def test_threads_that_die_meanwhile_are_no_error():
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.pod("p", "BE", threads=5)
    node.kernel.before_write = lambda path, text: path.endswith("tasks") and node.kernel.threads.pop(int(text), None)
    assert node.run_pass()[1] == (0, 0, ())


def test_a_container_in_a_group_of_somebody_else_is_left_there_unless_we_decide_a_group():
    node = ResctrlNode()
    node.kernel.tree.make("gold")
    node.pod("p", "LS")
    for thread in node.kernel.threads.values():
        thread.group = "gold"
    node.set_policy(**BE_HALF)
    node.run_pass()
    assert node.group_of("p") == {"gold"}
    node.set_policy(**classes(ls={}))
    node.run_pass()
    assert node.group_of("p") == {"LS"}


def test_one_container_may_be_moved_alone():
    node = ResctrlNode()
    node.set_policy(**classes(ls={}))
    node.pod("p", containers=2)
    node.groups.reconcile(node.pods.values(), node.policy, node.node)
    assert node.threads.settle({node.containers("p")[0]: "LS"}, 2).moved == 2
    assert node.kernel.groups_of(node.containers("p")[1]) == {""}


def test_the_init_is_placed_before_it_becomes_the_containers_program():
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.run_pass()
    init = node.kernel.spawn("kubepods/besteffort/podx/c")
    assert node.threads.place(init, "BE")
    assert node.kernel.threads[node.kernel.fork(init)].group == "BE"
    assert node.threads.place(init, ""), "no group, nothing to do"
    assert not node.threads.place(999_999, "BE")
    assert not node.threads.place(init, "LS")
    assert not node.threads.place(init, "gold"), "not one of ours"
    assert node.groups.stats.placed == {"placed": 1, "gone": 1, "missing": 1, "refused": 1}


def test_a_start_may_wait_for_a_group_that_is_being_made():
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    init = node.kernel.spawn("kubepods/besteffort/podx/c")
    tried = threading.Event()

    def note(path, text):
        if path.endswith("BE/tasks"):
            tried.set()

    def make():
        assert tried.wait(30)
        node.groups.reconcile([], node.policy, node.node)

    node.kernel.before_write = note
    reconcile = threading.Thread(target=make)
    reconcile.start()
    assert node.threads.place(init, "BE", patience_s=300.0)
    reconcile.join()
    assert node.kernel.threads[init].group == "BE"


def test_a_start_does_not_wait_for_a_group_that_could_not_be_made():
    node = ResctrlNode(FakeResctrl(num_closids=1))
    node.set_policy(**BE_HALF)
    node.run_pass()
    assert not node.threads.place(node.kernel.spawn("kubepods/besteffort/podx/c"), "BE", patience_s=300.0)


def test_in_a_pid_namespace_of_our_own_no_thread_is_touched_and_the_reason_is_told():
    node = ResctrlNode()
    node.kernel.pid_shown = "4242"
    node.set_policy(**BE_HALF)
    node.pod("p", "BE")
    _, settled = node.run_pass()
    assert settled.errors == (OWN_PID_NAMESPACE,)
    assert node.threads.place(next(iter(node.kernel.threads)), "BE"), "nobody is to try again"
    assert node.groups.stats.placed == {}
    assert node.group_of("p") == {""}
    assert node.lines("BE") == HALF, "groups need no thread ids: the runtime puts new containers into them"


def test_decisions_are_told_why_nothing_can_be_put_into_a_group():
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.pod("p", "BE")
    assert node.decided("p") == "BE"
    node.kernel.read_only = True
    assert (node.node.resctrl.read_only, node.decided("p")) == (READ_ONLY, "")
    node.kernel.pid_shown = "4242"
    node = node.restarted()
    assert node.node.resctrl.read_only == node.groups.stats.read_only == OWN_PID_NAMESPACE
    node.kernel.mounted = False
    assert (node.node.resctrl, node.groups.stats.read_only) == (None, "")


# -- monitoring -------------------------------------------------------------------------------------------------------


def test_use_is_told_by_class_with_the_pods_own_groups():
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.pod("p", "BE", asks([20, 80]))
    node.run_pass()

    def counts(group, occupancy, total, cache_id=0):
        node.kernel.groups[group].counters |= {
            (cache_id, "llc_occupancy"): str(occupancy),
            (cache_id, "mbm_total_bytes"): str(total),
        }

    counts("BE", 100, 1000)
    counts("BE", 7, 70, cache_id=1)
    counts("koordlet-uid-p", 50, 500)
    node.monitors.read()
    stats = node.groups.stats
    assert stats.occupancy_bytes == {("BE", 0): 150, ("BE", 1): 7}
    assert stats.traffic_bytes == {("BE", 0, "total"): 1500, ("BE", 1, "total"): 70}


def test_bandwidth_counts_never_fall_nor_count_twice():
    node = ResctrlNode()
    node.set_policy(**BE_HALF)
    node.pod("p", "BE", asks([20, 80]))
    node.run_pass()
    own = node.kernel.groups["koordlet-uid-p"].counters
    seen = []
    for value in ("100", "Unavailable", "130", "30"):  # the last: the group was made anew
        own[0, "mbm_total_bytes"] = value
        node.monitors.read()
        seen.append(node.groups.stats.traffic_bytes.get(("BE", 0, "total")))
    node.kill("p")
    node.run_pass()
    node.monitors.read()
    seen.append(node.groups.stats.traffic_bytes["BE", 0, "total"])
    assert seen == [100, 100, 130, 160, 160]
