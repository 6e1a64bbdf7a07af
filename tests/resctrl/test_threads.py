"""Threads move into their groups, and none escapes."""

import threading

from koordnri.resctrl.groups import MOST_PASSES, OWN_PID_NAMESPACE, READ_ONLY
from tests.host.fake_resctrl import FakeResctrl
from tests.resctrl.resctrl_node import BE_HALF, HALF, ResctrlNode, classes


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


def test_in_a_pid_namespace_of_our_own_no_thread_is_touched_and_the_reason_is_reported():
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


def test_decisions_have_the_reason_why_nothing_can_be_put_into_a_group():
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
