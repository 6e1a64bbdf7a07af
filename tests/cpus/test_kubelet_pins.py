"""What kubelet's static CPU manager pinned, as the requests show: no pinned CPU is ever missed, and none is kept for ever."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koordnri.cpus.kubelet_pins import FoundPin, KubeletPins
from koordnri.model import Container, CPUSet, NodeState, Pod, Resources
from koordnri.model.cpuset import NO_CPUS
from koordnri.model.kubelet_cpus import cpus_in, pinned_by_kubelet
from koordnri.model.topology import Topology
from tests.examples import examples
from tests.support.pods import pod

STATIC = NodeState(topology=Topology.regular(1, 2, 4, 2), kubelet_cpu_policy="static")
"""16 CPUs"""
GUARANTEED, BURSTABLE, BESTEFFORT = "/kubepods", "/kubepods/burstable", "/kubepods/besteffort"


def asked(cpus: str, count: float, quota: int | None = None) -> Resources:
    """What kubelet asks for a container of so many CPUs, request and limit."""
    return Resources(int(count * 1024), int(count * 100_000) if quota is None else quota, 100_000, cpus)


def pod_of(name: str, parent: str = GUARANTEED) -> Pod:
    return pod(parent=f"{parent}/pod{name}", name=name)


def container_of(of: str, resources: Resources, name: str = "main") -> Container:
    return Container(f"{of}-{name}", name, of, resources)


class Node:
    """The pins, and the node that they make."""

    def __init__(self, node: NodeState = STATIC) -> None:
        self.pins = KubeletPins()
        self.node = node

    def create(self, of: str, cpus: str, count: float, parent: str = GUARANTEED, name: str = "main") -> bool:
        return self.pins.heard(
            pod_of(of, parent), container_of(of, asked(cpus, count), name), cpus_in(cpus), self.node, new=True
        )

    def update(self, of: str, cpus: str, count: float, parent: str = GUARANTEED, name: str = "main") -> bool:
        return self.pins.heard(
            pod_of(of, parent), container_of(of, asked(cpus, count), name), cpus_in(cpus), self.node, new=False
        )

    @property
    def pinned(self) -> str:
        return str(self.pins.applied(self.node).kubelet_cpus)


@pytest.fixture
def node() -> Node:
    return Node()


# -- who is pinned ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parent", "resources", "cpus"),
    [
        (GUARANTEED, asked("2-3", 2), "2-3"),
        (GUARANTEED, asked("2-3", 2, quota=0), "2-3"),  # kubelet >= 1.33, or cpuCFSQuota: false
        (GUARANTEED, asked("2-3", 2, quota=-1), "2-3"),
        (GUARANTEED, Resources(2048, 100_000, 50_000, "2-3"), "2-3"),
        (GUARANTEED, asked("3", 1), "3"),
        (GUARANTEED, asked("0-15", 2), ""),  # it shares
        (GUARANTEED, asked("0-1", 1.5), ""),
        (GUARANTEED, asked("2-3", 2, quota=150_000), ""),
        (GUARANTEED, asked("", 2), ""),
        (GUARANTEED, asked("two", 2), ""),
        (GUARANTEED, Resources(None, None, None, "2-3"), ""),
        (GUARANTEED, asked("0-15", 16), ""),  # the whole node
        (GUARANTEED, asked("0-14", 15), "0-14"),
        (BURSTABLE, asked("2-3", 2), ""),
        (BESTEFFORT, Resources(2, None, None, "0"), ""),
    ],
)
def test_a_guaranteed_container_with_as_many_cpus_as_it_requests_has_them_alone(parent, resources, cpus):
    assert str(pinned_by_kubelet(pod_of("p", parent), resources, STATIC)) == cpus


def test_unless_the_cpu_manager_is_static_a_cpuset_pins_nobody():
    assert not pinned_by_kubelet(pod_of("p"), asked("2-3", 2), replace(STATIC, kubelet_cpu_policy="none"))


def test_more_cpus_than_shares_can_show_are_pinned_all_the_same():
    assert (
        len(pinned_by_kubelet(pod_of("p"), Resources(262_144, 0, 100_000, "0-299"), replace(STATIC, topology=None)))
        == 300
    )


# -- what is heard ----------------------------------------------------------------------------------------------------


def test_what_is_pinned_is_kubelets_until_the_pod_goes(node: Node):
    assert node.create("a", "2-3", 2)
    assert node.create("b", "5", 1)
    assert node.pinned == "2-3,5"
    assert node.pins.forget_pod("uid-a")
    assert not node.pins.forget_pod("uid-a")
    assert node.pinned == "5"


def test_a_container_that_is_made_again_has_its_cpus_all_the_time(node: Node):
    node.create("a", "2-3", 2)
    assert not node.create("a", "2-3", 2), "nothing new"
    assert node.pinned == "2-3"


def test_an_old_kubelet_reports_the_cpus_only_in_an_update_right_after_the_start(node: Node):
    assert not node.create("a", "", 2)
    assert node.update("a", "2-3", 2)
    assert not node.create("a", "", 2), "made again: kubelet has kept them, and says so later"
    assert node.pinned == "2-3"


def test_kubelets_rewrites_every_10_s_change_nothing(node: Node):
    node.create("a", "2-3", 2)
    node.create("s", "0-1,4-15", 0.5, BURSTABLE)
    for _ in range(3):
        assert not node.update("a", "2-3", 2)
        assert not node.update("s", "0-1,4-15", 0.5, BURSTABLE)
    assert node.pinned == "2-3"


def test_whom_kubelet_moves_has_the_new_cpus_and_not_the_old_ones(node: Node):
    node.create("a", "2-3", 2)
    assert node.update("a", "6-7", 2)
    assert node.pinned == "6-7"


def test_a_resize_that_says_nothing_of_cpus_leaves_them(node: Node):
    node.create("a", "2-3", 2)
    resized = container_of("a", asked("2-3", 1.5))
    assert not node.pins.heard(pod_of("a"), resized, NO_CPUS, STATIC, new=False)
    assert node.pinned == "2-3"


def test_whom_kubelet_makes_share_has_none(node: Node):
    node.create("a", "2-3", 2)
    assert node.update("a", "0-15", 2)
    assert node.pinned == ""


def test_what_kubelet_gives_to_those_who_share_is_nobodys_own_any_more(node: Node):
    node.create("a", "2-5", 4, name="init")
    node.create("a", "2-3", 2)
    node.create("b", "8", 1)
    assert node.update("s", "0-1,4-7,9-15", 0.5, BURSTABLE)
    assert node.pinned == "2-3,8"
    assert node.update("s", "0-15", 0.5, BURSTABLE)
    assert node.pinned == ""


def test_a_creation_that_was_computed_before_takes_nothing_back(node: Node):
    node.create("a", "2-3", 2)
    assert not node.create("s", "0-15", 0.5, BURSTABLE)
    assert node.pinned == "2-3"


def test_nonsense_in_a_request_is_no_word_about_cpus(node: Node):
    node.create("a", "2-3", 2)
    assert not node.update("s", "all", 0.5, BURSTABLE)
    assert node.pinned == "2-3"


def test_the_state_files_cpus_and_those_heard_of_are_reported_together():
    node = Node(replace(STATIC, kubelet_cpus=CPUSet([2, 8])))
    node.create("a", "2-3", 2)
    assert node.pinned == "2-3,8"


def test_a_node_where_nothing_new_is_pinned_stays_the_same_object(node: Node):
    assert node.pins.applied(STATIC) is STATIC
    node.create("a", "2-3", 2)
    listed = replace(STATIC, kubelet_cpus=CPUSet([2, 3, 4]))
    assert node.pins.applied(listed) is listed
    no_longer_static = replace(STATIC, kubelet_cpu_policy="none")
    assert node.pins.applied(no_longer_static) is no_longer_static


# -- restart ----------------------------------------------------------------------------------------------------------


def found(
    of: str, cpus: str, count: float, parent: str = GUARANTEED, name: str = "main", ended: bool = False
) -> FoundPin:
    return FoundPin(pod_of(of, parent), container_of(of, asked(cpus, count), name), ended)


def test_synchronize_reports_all_again(node: Node):
    node.create("gone", "8-9", 2)
    node.pins.restore([found("a", "2-3", 2), found("s", "0-1,4-15", 0.5, BURSTABLE)], STATIC)
    assert node.pinned == "2-3"


def test_of_those_that_have_ended_only_what_nobody_shares_is_kept(node: Node):
    """An init container whose CPUs kubelet took back, and a main one that is about to be started again."""
    node.pins.restore(
        [
            found("a", "2-5", 4, name="init", ended=True),
            found("a", "2-3", 2),
            found("crashed", "8", 1, ended=True),
            found("s", "0-1,4-7,9-15", 0.5, BURSTABLE),
            found("narrow", "0", 0.5, BURSTABLE),
            found("before", "0-15", 0.5, BURSTABLE, ended=True),
        ],
        STATIC,
    )
    assert node.pinned == "2-3,8"


def test_one_that_runs_counts_more_than_the_same_one_that_ended_before(node: Node):
    lives = [found("a", "2-3", 2), found("a", "6-7", 2, ended=True)]
    for order in (lives, lives[::-1]):
        node.pins.restore(order, STATIC)
        assert node.pinned == "2-3"


# -- any order --------------------------------------------------------------------------------------------------------


@dataclass
class Made:
    """One container of the fake kubelet."""

    pod: Pod
    container: Container
    exclusive: bool
    ended: bool = False


@dataclass
class FakeKubelet:
    """A static CPU manager as kubelet's: what it allocates, to whom it reports, and when it takes back. CPU 0 is kept back."""

    shared: CPUSet = STATIC.topology.online  # type: ignore[union-attr]
    given: dict[tuple[str, str], CPUSet] = field(default_factory=dict)
    made: dict[tuple[str, str], Made] = field(default_factory=dict)

    def allocate(self, of: str, name: str, count: int) -> CPUSet | None:
        reusable = self.given.get((of, "init"), CPUSet()) if name == "main" else CPUSet()
        free = [*reusable, *(self.shared - CPUSet([0]))]
        if count > len(free):
            return None
        cpus = CPUSet(free[:count])
        self.given[of, name] = cpus
        self.shared = self.shared - cpus
        return cpus

    def ends(self, of: str, name: str) -> None:
        """An init container's CPUs are taken back, but for those that its successor uses."""
        cpus = self.given.pop((of, name), CPUSet())
        self.shared = self.shared | (cpus - self.given.get((of, "main"), CPUSet()))
        self.made[of, name].ended = True

    def remove(self, of: str) -> None:
        for key in [k for k in self.made if k[0] == of]:
            self.shared = self.shared | self.given.pop(key, CPUSet())
            del self.made[key]

    @property
    def pinned(self) -> CPUSet:
        """CPUs of those that have been created."""
        pinned = CPUSet()
        for key, cpus in self.given.items():
            if key in self.made:
                pinned |= cpus
        return pinned


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["exclusive", "with init", "shared", "remove", "reconcile", "again", "restart"]),
        st.integers(0, 5),
        st.integers(1, 5),
    ),
    max_size=40,
)


@settings(max_examples=examples(300), deadline=None)
@given(ACTS)
def test_whatever_kubelet_does_its_pinned_cpus_are_known_and_all_that_is_free_is_known_within_a_round(acts):
    kubelet, pins = FakeKubelet(), KubeletPins()

    def send(made: Made, cpus: CPUSet, new: bool) -> None:
        made.container.baseline = made.container.baseline.moved_by(Resources(cpus=str(cpus)))
        pins.heard(made.pod, made.container, cpus, STATIC, new=new)

    def create(of: str, name: str, count: int, exclusive: bool) -> bool:
        cpus = kubelet.allocate(of, name, count) if exclusive else kubelet.shared
        if cpus is None:
            return False
        parent = GUARANTEED if exclusive else BURSTABLE
        made = Made(pod_of(of, parent), container_of(of, asked("", count if exclusive else 0.25), name), exclusive)
        kubelet.made[of, name] = made
        send(made, cpus, new=True)
        return True

    def reconcile() -> None:
        for key, made in kubelet.made.items():
            if not made.ended:
                send(made, kubelet.given.get(key, kubelet.shared), new=False)

    create("agent", "main", 0, exclusive=False)
    for act, number, count in acts:
        of = f"p{number}"
        if act == "remove":
            kubelet.remove(of)
            pins.forget_pod(of)
        elif act == "reconcile":
            reconcile()
        elif act == "restart":
            pins = KubeletPins()
            pins.restore([FoundPin(m.pod, m.container, m.ended) for m in kubelet.made.values()], STATIC)
        elif act == "again" and (of, "main") in kubelet.made:
            made = kubelet.made[of, "main"]
            send(made, kubelet.given.get((of, "main"), kubelet.shared), new=True)
        elif (of, "main") not in kubelet.made and (of, "init") not in kubelet.made:
            if act == "with init" and create(of, "init", count, exclusive=True):
                create(of, "main", max(count - 1, 1), exclusive=True)
                kubelet.ends(of, "init")
            elif act in ("exclusive", "shared"):
                create(of, "main", count, exclusive=act == "exclusive")
        assert kubelet.pinned <= pins.applied(STATIC).kubelet_cpus
    reconcile()
    assert pins.applied(STATIC).kubelet_cpus == kubelet.pinned
