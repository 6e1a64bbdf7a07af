"""Resctrl groups of classes and pods follow policy, pods and annotations; threads follow their containers' decisions."""

import errno
import os

import pytest

from koordnri.model import Event
from koordnri.resctrl.groups import NO_CLASS
from tests.host.fake_resctrl import FakeResctrl
from tests.resctrl.resctrl_node import BE_HALF, FULL, HALF, OFF, ResctrlNode, asks, classes

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


def test_a_line_that_is_refused_costs_no_other_and_is_reported_once():
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


def test_a_range_that_had_to_be_widened_is_reported_once():
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
    assert node.kernel.log == [], "before the runtime has reported its pods, nobody is an orphan"
    new.run_pass()
    assert sorted(node.kernel.log) == [("rmdir", "koordlet-from-before"), ("rmdir", "koordlet-uid-gone")]
    assert node.ours() == {"koordlet-uid-p", "somebodys"}


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
    why = f"{NO_CLASS}: Out of CLOSIDs"
    assert refused == {"koordlet-uid-b": (why, "b"), "koordlet-uid-c": (why, "c")}
    assert node.groups.refused == {"koordlet-uid-b": why, "koordlet-uid-c": why}
    assert node.groups.stats.refused == 2
    assert node.run_pass()[0] == [], "reported once"
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


# -- monitoring -------------------------------------------------------------------------------------------------------
