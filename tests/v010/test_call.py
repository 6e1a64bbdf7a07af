"""Requests and answers, as programs of that time read and write them."""

import json

import pytest

from koordnri.v010.call import Call, ProgramError, Result, answered
from koordnri.v010.configuration import Program
from tests.support.messages import container, pod


def test_a_sandbox_has_its_own_id_as_the_sandboxs() -> None:
    message = pod("p1", pid=9, labels={"app": "web"}, annotations={"a": "b"})
    message.linux.cgroups_path = "/kubepods/p1"
    message.linux.namespaces.add(type="network", path="/proc/9/ns/net")
    request = json.loads(Call.of_pod("create", message).request(Program("x"), "0.1", ()))
    assert request == {
        "version": "0.1",
        "state": "create",
        "id": "p1",
        "sandboxID": "p1",
        "pid": 9,
        "spec": {
            "resources": None,
            "namespaces": {"network": "/proc/9/ns/net"},
            "cgroupsPath": "/kubepods/p1",
            "annotations": {"a": "b"},
        },
        "labels": {"app": "web"},
    }


def test_a_container_has_its_resources_and_its_pods_labels() -> None:
    message = container("c1")
    message.linux.resources.cpu.shares.value = 256
    call = Call.of_container("delete", pod("p1", labels={"app": "web"}), message)
    request = json.loads(call.request(Program("x"), "0.1", ()))
    assert (request["id"], request["sandboxID"], request["labels"]) == ("c1", "p1", {"app": "web"})
    assert request["spec"]["resources"] == {"cpu": {"shares": 256}}
    assert not {"pid", "conf", "results"} & request.keys()


def test_later_programs_get_the_answers_of_earlier_ones() -> None:
    before = [Result("a", "0.1", "", {"k": "v"})]
    request = json.loads(Call.of_pod("create", pod()).request(Program("x"), "0.1", before))
    assert request["results"] == [{"plugin": "a", "version": "0.1", "error": "", "metadata": {"k": "v"}}]


def test_an_exit_code_alone_is_no_failure() -> None:
    assert answered(b'{"plugin":"a","version":"0.1","error":"","metadata":null}', 1).plugin == "a"


@pytest.mark.parametrize(
    ("output", "code", "message"),
    [(b"", 2, "<empty>, exit code 2"), (b"no JSON", 3, "'no JSON', exit code 3"), (b'{"error":"full"}', 0, "^full$")],
)
def test_a_failure_has_the_programs_own_words(output: bytes, code: int, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        answered(output, code)
