"""Annotations of a scheduler: parsed once per pod, and every mistake is reported with key, place and text."""

import pytest

from koordnri.model import AnnotationError, NodeError
from koordnri.model.annotations import (
    DEVICE_ALLOCATED,
    EXTENDED_RESOURCE_SPEC,
    MAX_CHARACTERS,
    RESOURCE_STATUS,
    Annotation,
    fault_of,
)
from koordnri.model.errors import PodError
from tests.support.pods import pod


def pod_with(annotation, text):
    return pod(annotations={annotation.key: text})


def test_an_absent_annotation_is_none():
    assert RESOURCE_STATUS.of(pod()) is None


def test_the_shapes_that_the_scheduler_writes():
    status = RESOURCE_STATUS.of(
        pod_with(RESOURCE_STATUS, '{"cpuset":"2-4","numaNodeResources":[{"node":1,"resources":{"cpu":"2"}}],"new":1}')
    )
    assert (status.cpuset, status.numa_node_resources[0].node) == ("2-4", 1)
    devices = DEVICE_ALLOCATED.of(
        pod_with(
            DEVICE_ALLOCATED,
            '{"rdma":[{"minor":1,"id":"0000:09:00.0","extension":{"vfs":[{"minor":2,"busID":"0000:00:00.1"}]}}],'
            '"gpu":[{"minor":0,"resources":{"koordinator.sh/gpu-core":100},"extension":null}]}',
        )
    )
    assert devices["rdma"][0].extension.vfs[0].bus_id == "0000:00:00.1"
    assert devices["gpu"][0].resources == {"koordinator.sh/gpu-core": 100}
    spec = EXTENDED_RESOURCE_SPEC.of(pod_with(EXTENDED_RESOURCE_SPEC, '{"containers":{"a":{"limits":{"x":"1"}}}}'))
    assert spec.containers["a"].limits == {"x": "1"}


def test_parsed_once_and_so_is_the_error():
    calls = []

    def decode(text):
        calls.append(text)
        raise ValueError("no good")

    annotation, one = Annotation("example.com/x", decode), pod(annotations={"example.com/x": "text"})
    for _ in range(3):
        with pytest.raises(AnnotationError, match=r"^annotation example\.com/x: no good; got text$"):
            annotation.of(one)
    assert calls == ["text"]


@pytest.mark.parametrize(
    ("annotation", "text", "problem"),
    [
        (RESOURCE_STATUS, "", "broken JSON, line 1 column 1: Expecting value; got "),
        (RESOURCE_STATUS, '{"cpuset":"2-4"', "broken JSON, line 1 column 16"),
        (RESOURCE_STATUS, '{\n "cpuset" 5}', "broken JSON, line 2 column 11"),
        (RESOURCE_STATUS, "{} {}", "broken JSON, line 1 column 4: Extra data"),
        (RESOURCE_STATUS, '{"cpuset":5}', "Expected `str`, got `int` - at `$.cpuset`"),
        (RESOURCE_STATUS, '{"numaNodeResources":[{"node":"x"}]}', "at `$.numaNodeResources[0].node`"),
        (RESOURCE_STATUS, '"text"', "Expected `object`, got `str`"),
        (EXTENDED_RESOURCE_SPEC, '{"containers":{"a":{"limits":{"x":true}}}}', "at `$.containers[...].limits[...]`"),
        (DEVICE_ALLOCATED, '{"gpu":[{"id":"x"}]}', "missing required field `minor`"),
    ],
)
def test_a_mistake_is_reported_with_key_place_and_text(annotation, text, problem):
    with pytest.raises(AnnotationError) as caught:
        annotation.of(pod_with(annotation, text))
    assert caught.value.key == annotation.key
    assert str(caught.value).startswith(f"annotation {annotation.key}: ")
    assert problem in str(caught.value)
    assert str(caught.value).endswith(f"; got {text}")


def test_a_long_text_is_quoted_in_part():
    with pytest.raises(AnnotationError) as caught:
        RESOURCE_STATUS.of(pod_with(RESOURCE_STATUS, '{"cpuset":' + "9" * 500))
    assert len(str(caught.value)) < 300


def test_a_text_that_is_too_long_is_not_even_parsed():
    longest = '{"cpuset":"' + "1" * (MAX_CHARACTERS - 13) + '"}'
    assert RESOURCE_STATUS.of(pod_with(RESOURCE_STATUS, longest)).cpuset.startswith("111")
    text = longest + " "
    with pytest.raises(AnnotationError, match=f"expected at most {MAX_CHARACTERS} characters, got {len(text)}"):
        RESOURCE_STATUS.of(pod_with(RESOURCE_STATUS, text))


@pytest.mark.parametrize("text", ["[" * 16_000, '{"a":' * 3000, '{"cpuset":"1","x":' + "[" * 8000 + "]" * 8000 + "}"])
def test_deep_nesting_is_a_mistake_like_any_other(text):
    with pytest.raises(AnnotationError) as caught:
        RESOURCE_STATUS.of(pod_with(RESOURCE_STATUS, text))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("error", "fault", "message"),
    [
        (AnnotationError("a/b", "bad"), "pod", "annotation a/b: bad"),
        (PodError("spec.containers.main: bad"), "pod", "spec.containers.main: bad"),
        (NodeError("topology.sockets", "bad"), "node", "topology.sockets: bad"),
        (KeyError("x"), "bug", "KeyError: 'x'"),
    ],
)
def test_whose_fault_it_is_follows_from_the_type(error, fault, message):
    assert fault_of("hook", error) == ("hook", message, fault)
