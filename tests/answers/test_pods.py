"""How a question names a pod and a container, and what it says of a name that is not here."""

import pytest

from koordnri.answers.pods import find_containers, find_pod, list_pods
from koordnri.model import Decision, Pod
from koordnri.model.resources import NOTHING
from koordnri.observe.questions import BadQuestion, NotHere
from koordnri.state.entry import Entry
from koordnri.state.ledger import Ledger


def ledger_of(*names: str) -> Ledger:
    ledger = Ledger()
    for number, name in enumerate(names):
        namespace, _, bare = name.partition("/")
        ledger.remember_pod(Pod(f"sandbox-{number}", f"uid-{number}", namespace, bare))
    return ledger


def test_pods_are_listed_by_name_once() -> None:
    assert list_pods(ledger_of("shop/web", "a/b", "shop/web")) == {"pods": ["a/b", "shop/web"]}


def test_a_pod_is_named_by_namespace_and_name() -> None:
    assert find_pod(ledger_of("shop/web", "test/web"), "test/web").id == "sandbox-1"


def test_of_two_sandboxes_of_one_name_the_newer_counts() -> None:
    assert find_pod(ledger_of("shop/web", "shop/web"), "shop/web").id == "sandbox-1"


@pytest.mark.parametrize("name", ["web", "/web", "shop/", "a/b/c", ""])
def test_another_form_is_a_bad_question(name: str) -> None:
    with pytest.raises(BadQuestion, match="expected NAMESPACE/NAME"):
        find_pod(ledger_of("shop/web"), name)


@pytest.mark.parametrize(
    ("asked", "like"),
    [
        ("shop/web", "shop/web-7f9c-abcde"),  # the name of its Deployment
        ("default/web-7f9c-abcde", "shop/web-7f9c-abcde"),  # another namespace
        ("shop/wbe-7f9c-abcde", "shop/web-7f9c-abcde"),  # misspelt
    ],
)
def test_an_unknown_pod_is_answered_with_those_of_like_names(asked: str, like: str) -> None:
    with pytest.raises(NotHere) as raised:
        find_pod(ledger_of("shop/web-7f9c-abcde", "shop/database-0"), asked)
    assert f"is it one of {like}?" in str(raised.value)


def test_at_most_five_like_names_are_listed() -> None:
    with pytest.raises(NotHere) as raised:
        find_pod(ledger_of(*(f"shop/web-{i}" for i in range(9))), "shop/web")
    assert str(raised.value).count("shop/web-") == 5


def test_without_like_names_none_are_listed() -> None:
    with pytest.raises(NotHere) as raised:
        find_pod(ledger_of("kube-system/dns"), "shop/web")
    assert "is it one of" not in str(raised.value)


def ledger_with(*entries: tuple[str, str, bool]) -> tuple[Ledger, Pod]:
    """(id, name, whether it has ended)"""
    ledger = ledger_of("shop/web")
    pod = find_pod(ledger, "shop/web")
    for id_, name, ended in entries:
        entry = Entry(id_, name, pod.id, NOTHING)
        entry.ended = ended
        ledger.remember(entry, Decision())
    return ledger, pod


def test_a_container_that_was_created_again_counts_once() -> None:
    ledger, pod = ledger_with(("1", "main", True), ("2", "main", False), ("3", "init", True))
    assert [entry.id for entry in find_containers(ledger, pod, None)] == ["2", "3"]


def test_one_container_can_be_named() -> None:
    ledger, pod = ledger_with(("1", "main", False), ("2", "side", False))
    assert [entry.id for entry in find_containers(ledger, pod, "side")] == ["2"]


def test_an_unknown_container_is_answered_with_those_that_there_are() -> None:
    ledger, pod = ledger_with(("1", "main", False), ("2", "side", False))
    with pytest.raises(NotHere, match="has no container 'log' on this node; there are: main, side"):
        find_containers(ledger, pod, "log")
