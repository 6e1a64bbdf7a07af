"""What the three kinds of owner of a cgroup file have in common, and what not."""

from __future__ import annotations

import pytest

from koordnri.host.cgroup.change import Change
from koordnri.model import Decision, KubeQoS, Pod, Resources, fields
from koordnri.model.class_cgroup import CLASS_IDS, ClassCgroup
from koordnri.reconcile.owner import ClassOwner, ContainerOwner, KnownFiles, Owner, PodOwner
from koordnri.state.entry import Entry
from koordnri.state.ledger import Ledger

POD = Pod("p", "uid", "shop", "web")
QUOTA = fields.CPU_QUOTA
NAME = QUOTA.name


def container() -> ContainerOwner:
    ledger = Ledger()
    ledger.remember_pod(POD)
    entry = Entry("c", "main", "p", Resources())
    ledger.remember(entry, Decision())
    return ContainerOwner(POD, entry, ledger)


def owners() -> list[Owner]:
    known = KnownFiles()
    return [container(), PodOwner(POD, known), ClassOwner(ClassCgroup(KubeQoS.BURSTABLE, "kubepods/burstable"), known)]


def wants(value: int) -> Change:
    return Change("kubepods/x", QUOTA, "", value)


def test_an_owner_says_what_it_is_called_and_what_a_fault_in_it_costs():
    of_pod = {"namespace": "shop", "pod": "web", "kube_class": ""}
    assert [(o.id, o.unit, o.pod, o.container, o.title, o.names) for o in owners()] == [
        ("c", "p", POD, "main", "main", of_pod),
        ("p", "p", POD, "", "shop/web", of_pod),
        (
            "class:Burstable",
            "class:Burstable",
            None,
            "",
            "Burstable",
            {"namespace": "", "pod": "", "kube_class": "Burstable"},
        ),
    ]


@pytest.mark.parametrize("kind", range(3))
def test_a_file_is_right_once_it_was_read_and_until_it_was_missed(kind):
    owner = owners()[kind]
    assert not owner.is_right(NAME, wants(1))
    owner.verified(NAME, wants(1), 1, restores=False)
    assert owner.is_right(NAME, wants(1))
    assert owner.had(NAME, wants(1))
    assert not owner.is_right(NAME, wants(2))
    owner.missed(NAME, 5)
    assert not owner.is_right(NAME, wants(1))


@pytest.mark.parametrize(("route", "had"), [("adjust", True), ("record", True), ("reply", False), ("write", False)])
def test_a_container_has_what_it_was_sent_once_the_runtime_has_applied_it(route, had):
    ledger = Ledger()
    entry = Entry("c", "main", "p", Resources())
    ledger.remember(entry, Decision(), sent={NAME: (1, route)})
    owner = ContainerOwner(POD, entry, ledger)
    assert owner.had(NAME, wants(1)) == had
    assert not owner.had(NAME, wants(2))


def test_what_was_read_of_a_container_outlasts_a_push_but_not_its_start():
    ledger = Ledger()
    entry = Entry("c", "main", "p", Resources())
    ledger.remember(entry, Decision())
    owner = ContainerOwner(POD, entry, ledger)
    owner.verified(NAME, wants(1), 1, restores=False)
    ledger.sending("c", {NAME: 1})
    ledger.recorded("c", {NAME: 1})
    assert owner.was_read(NAME, wants(1))
    assert not owner.is_right(NAME, wants(1)), "it must be read again"
    owner.verified(NAME, wants(2), 2, restores=False)
    assert [owner.was_read(NAME, wants(value)) for value in (1, 2)] == [False, True]
    owner.missed(NAME, 5)
    assert not owner.was_read(NAME, wants(1))
    owner.verified(NAME, wants(2), 2, restores=False)
    ledger.started(entry)
    assert not owner.was_read(NAME, wants(2))


@pytest.mark.parametrize("kind", [1, 2])
def test_nothing_is_known_of_a_pods_or_classs_file_that_was_given_back(kind):
    owner = owners()[kind]
    owner.verified(NAME, wants(1), 1, restores=False)
    owner.verified(NAME, wants(2), 2, restores=True)
    assert not owner.had(NAME, wants(1))
    assert not owner.had(NAME, wants(2))


def test_only_pods_and_classes_need_their_originals_noted_and_only_containers_are_recorded_again():
    assert [o.keeps_originals for o in owners()] == [False, True, True]
    assert [o.drifted(NAME, QUOTA) for o in owners()] == [True, False, False]
    assert not container().drifted(fields.CPU_IDLE.name, fields.CPU_IDLE), "no update carries it"


def test_the_ids_of_classes_are_those_that_the_state_directory_has():
    assert {"class:root", "class:Guaranteed", "class:Burstable", "class:BestEffort"} == CLASS_IDS
