"""NRI messages to our values: what is unset stays unset, and what cannot be believed is not."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.model import KubeQoS, QoSClass, Resources
from koordnri.model.resources import BASELINE_KEY, NOTHING, Note, encode_note
from koordnri.session.translate import container_from, note_of, pod_from, resources_from
from koordnri.wire import api_pb2 as api
from koordnri.wire import views_pb2 as views

ASKED = Resources(512, 50_000, 100_000, "0-3", "0", 1 << 30, {"memory.min": "5"})


def seen(message: Any, view: Any) -> Any:
    """The message as the event path reads it: from its bytes, by the type that leaves out what no decision asks for."""
    return view.FromString(message.SerializeToString())


def linux_resources(**cpu: Any) -> api.LinuxResources:
    return api.LinuxResources(cpu=api.LinuxCPU(**{k: wrap(v) for k, v in cpu.items()}))


def wrap(value: Any) -> Any:
    return {"value": value} if isinstance(value, int) else value


def full() -> api.LinuxResources:
    resources = linux_resources(shares=512, quota=50_000, period=100_000, cpus="0-3", mems="0")
    resources.memory.limit.value = 1 << 30
    resources.unified["memory.min"] = "5"
    return resources


def container(resources: api.LinuxResources | None = None, **annotations: str) -> views.Container:
    message = api.Container(id="c1", name="main", pod_sandbox_id="p1", annotations=annotations)
    if resources is not None:
        message.linux.resources.CopyFrom(resources)
    return seen(message, views.Container)


# -- resources --------------------------------------------------------------------------------------------------------


def test_resources_are_read_as_set():
    assert resources_from(seen(full(), views.LinuxResources)) == ASKED


def test_nothing_set_is_nothing_asked():
    assert resources_from(views.LinuxResources()) == NOTHING


def test_zero_is_how_runtimes_say_not_asked():
    message = linux_resources(shares=0, quota=0, period=0)
    message.memory.limit.value = 0
    assert resources_from(seen(message, views.LinuxResources)) == NOTHING


def test_unlimited_is_asked():
    message = linux_resources(quota=-1)
    message.memory.limit.value = -1
    assert resources_from(seen(message, views.LinuxResources)) == Resources(cpu_quota=-1, memory_limit=-1)


@given(
    st.integers(0, 2**64 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**64 - 1),
    st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
)
def test_whatever_a_runtime_sends_is_read(shares, quota, period, unified):
    message = linux_resources(shares=shares, quota=quota, period=period)
    message.unified.update(unified)
    read = resources_from(seen(message, views.LinuxResources))
    assert (read.cpu_shares or 0, read.cpu_quota or 0, read.cpu_period or 0) == (shares, quota, period)
    assert (read.unified or {}) == unified


# -- pods -------------------------------------------------------------------------------------------------------------


def test_a_pod_is_read_with_its_class_and_cgroup():
    message = api.PodSandbox(
        id="p1",
        uid="uid-1",
        namespace="default",
        name="web",
        labels={"koordinator.sh/qosClass": "LSR"},
        annotations={"a": "1"},
        runtime_handler="runc",
    )
    message.linux.cgroup_parent = "/kubepods/burstable/poduid-1"
    message.linux.pod_resources.CopyFrom(full())
    pod = pod_from(seen(message, views.PodSandbox))
    assert (pod.id, pod.uid, pod.namespace, pod.name, pod.runtime_handler) == ("p1", "uid-1", "default", "web", "runc")
    assert (pod.labels, pod.annotations) == ({"koordinator.sh/qosClass": "LSR"}, {"a": "1"})
    assert (pod.qos, pod.kube_qos) == (QoSClass.LSR, KubeQoS.BURSTABLE)
    assert pod.resources == ASKED


@pytest.mark.parametrize("message", [api.PodSandbox(id="p1"), api.PodSandbox(id="p1", linux=api.LinuxPodSandbox())])
def test_a_pod_with_an_empty_linux_part_has_no_cgroup_and_no_resources(message):
    pod = pod_from(seen(message, views.PodSandbox))
    assert (pod.cgroup_parent, pod.resources, pod.labels, pod.annotations) == ("", NOTHING, {}, {})


def test_a_pod_does_not_keep_its_message_alive():
    """Kept sub-messages would keep every request of the node in memory."""
    pod = pod_from(seen(api.PodSandbox(id="p1", labels={"a": "1"}, annotations={"b": "2"}), views.PodSandbox))
    parts = [getattr(pod, name) for name in pod.__slots__]
    assert not [o for o in gc.get_referents(*parts) if type(o).__module__.startswith("google.")]
    assert type(pod.labels) is type(pod.annotations) is dict


# -- containers and their baseline ------------------------------------------------------------------------------------


def test_the_baseline_is_what_the_annotation_carries_and_the_stored_resources_are_kept_beside_it():
    known = container_from(container(linux_resources(quota=-1), **{BASELINE_KEY: encode_note(Note(ASKED))}))
    assert (known.id, known.name, known.pod_id) == ("c1", "main", "p1")
    assert known.baseline == ASKED
    assert known.stored == Resources(cpu_quota=-1)


def test_a_newer_note_beats_the_annotation():
    moved = Note(Resources(cpu_quota=80_000))
    known = container_from(container(full(), **{BASELINE_KEY: encode_note(Note(ASKED))}), moved)
    assert known.baseline == moved.asked
    assert known.stored == ASKED


def test_without_an_annotation_the_stored_resources_are_the_baseline():
    """The container was there before us, so nothing of ours is in them."""
    assert container_from(container(full())).baseline == ASKED


def test_a_container_without_a_linux_part_has_nothing_set():
    known = container_from(container())
    assert known.baseline == known.stored == NOTHING


def test_the_annotation_has_what_we_set_beside_what_was_asked():
    note = Note(ASKED, {"cpu.quota": -1, "cpu.cpus": "2-3"})
    assert note_of(container(full(), **{BASELINE_KEY: encode_note(note)})) == note
    assert note_of(container(full())) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "[]",
        "null",
        '{"quota": 50001}',
        '{"asked": {"quota": "50000"}}',
        '{"asked": {"quota": 5e4}}',
        '{"asked": {"quota": 9223372036854775808}}',
        '{"asked": {"quota": -2}}',
        '{"asked": {"memory": 99999999999999999999999999}}',
        '{"asked": {"shares": -1}}',
        '{"asked": {"period": 18446744073709551616}}',
        '{"asked": {"cpus": 3}}',
        '{"asked": {"unified": {"memory.high": 5}}}',
        '{"asked": {"quota": 50001}, "set": {"cpu.quota": null}}',
        '{"asked": {"quota": 50001}, "set": 5}',
        '{"x": ' + "[" * 100_000,
        '{"asked": {"x": ' + "[" * 100_000,
    ],
)
def test_an_annotation_that_is_not_ours_falls_back_to_what_is_stored(text):
    message = container(full(), **{BASELINE_KEY: text})
    assert container_from(message).baseline == ASKED
    assert note_of(message) is None


@given(
    st.text(max_size=60)
    | st.from_regex(r'\{"asked":\{"(quota|shares|memory|period)":-?[0-9]{1,25}\}\}', fullmatch=True)
)
def test_no_annotation_makes_a_baseline_that_no_message_can_carry(text):
    baseline = container_from(container(full(), **{BASELINE_KEY: text})).baseline
    message = linux_resources(
        shares=baseline.cpu_shares or 0, quota=baseline.cpu_quota or 0, period=baseline.cpu_period or 0
    )
    message.memory.limit.value = baseline.memory_limit or 0


@pytest.mark.parametrize(
    ("reported", "limit"),
    [
        (0, None),
        (-1, -1),
        (1 << 40, 1 << 40),
        (0x7FFFFFFFFFFFF000, -1),
        (0x7FFFFFFFFFFF0000, -1),
        ((1 << 63) - 1, -1),
    ],
)
def test_a_memory_limit_of_all_there_could_be_is_none(reported: int, limit: int | None) -> None:
    """So we spell it for CRI-O, and it comes back as stored."""
    message = api.LinuxResources()
    message.memory.limit.value = reported
    assert resources_from(seen(message, views.LinuxResources)).memory_limit == limit
