"""The same reader on pod annotations, and what a pod's annotation does to its class's values."""

import msgspec
import pytest

from koordnri.model import AnnotationError
from koordnri.policy import (
    DEFAULT_POLICY,
    DocumentError,
    MemoryQOS,
    PodMemoryQOS,
    decode,
    load_policy,
    merge_memory_qos,
    recommended_memory_qos,
    resolve,
)
from koordnri.policy.blkio_qos import IOBlock, IOConfig, PodBlkIOQOS
from koordnri.policy.burst import CPUBurst
from koordnri.policy.qos import CPUQOS
from tests.support.pods import pod

MEMORY_KEY, BLKIO_KEY = "koordinator.sh/memoryQOS", "koordinator.sh/blkioQOS"
NONE = MemoryQOS()


def test_keys_match_in_any_case_and_unknown_ones_are_ignored():
    text = '{"BLOCKS": [{"Name": "/dev/sdb", "TYPE": "device", "iocfg": {"readiops": 5, "WRITEBPS": "1Mi", "new": 1}}], "x": {}}'
    assert decode(PodBlkIOQOS, text, BLKIO_KEY) == PodBlkIOQOS(
        (IOBlock("/dev/sdb", "device", IOConfig(read_iops=5, write_bps=1 << 20)),)
    )


def test_read_over_a_value_keeps_what_the_text_does_not_say():
    node = CPUBurst(policy="auto", cpu_burst_percent=50)
    assert decode(CPUBurst, '{"policy": "cpuBurstOnly"}', "x", over=node) == CPUBurst("cpuBurstOnly", 50)
    assert decode(CPUBurst, "{}", "x", over=node) == node


@pytest.mark.parametrize(
    ("type_", "text", "expected"),
    [
        (CPUQOS, '{"enable": true, "groupIdentity": 5}', ["a/b.groupIdentity: expected -1..2, got 5"]),
        (CPUQOS, '{"enable": tru}', ["a/b: broken JSON, line 1 column 12: expecting value"]),
        (
            CPUQOS,
            '{"enable": true,\n "groupIdentity" 5}',
            ["a/b: broken JSON, line 2 column 18: expecting ':' delimiter"],
        ),
        (CPUQOS, "", ["a/b: broken JSON, line 1 column 1: expecting value"]),
        (CPUQOS, "[]", ["a/b: expected a mapping, got []"]),
        (CPUQOS, '{"groupIdentity": NaN}', ["a/b: broken JSON, NaN is not a number that JSON knows"]),
        (CPUQOS, "[" * 100_000, ["a/b: nested deeper than 64 levels"]),
        (
            PodBlkIOQOS,
            '{"blocks": [{"name": "x", "ioCfg": {"readIOPS": "1", "readBPS": "fast"}}, 7]}',
            [
                'a/b.blocks[0].ioCfg.readIOPS: expected an integer at least 0, got "1"',
                'a/b.blocks[0].ioCfg.readBPS: expected a quantity such as 10M or 1Gi, got "fast"',
                "a/b.blocks[1]: expected a mapping, got 7",
            ],
        ),
        (
            dict[str, list[int]],
            '{"a": [1, "x"], "b": 2}',
            ['a/b.a[1]: expected an integer, got "x"', "a/b.b: expected a list, got 2"],
        ),
    ],
)
def test_mistakes_name_annotation_and_position(type_, text, expected):
    with pytest.raises(DocumentError) as refused:
        decode(type_, text, "a/b")
    assert [str(mistake) for mistake in refused.value.mistakes] == expected


@pytest.mark.parametrize(
    ("type_", "text", "expected"),
    [
        (CPUQOS, "null", CPUQOS()),
        (CPUQOS, '{"enable": null}', CPUQOS()),
        (CPUQOS, '{"ENABLE": true, "enable": false, "groupidentity": 1}', CPUQOS(enable=False, group_identity=1)),
        (CPUQOS, '{"enable": false, "Enable": true}', CPUQOS(enable=True)),
        (CPUQOS, '{"enable": true, "Enable": null}', CPUQOS(enable=True)),
        (PodBlkIOQOS, '{"blocks": null}', PodBlkIOQOS()),
    ],
)
def test_annotations_are_read_as_Go_reads_them(type_, text, expected):
    assert decode(type_, text, "a/b") == expected


CLASS = MemoryQOS(enable=True, min_limit_percent=30, throttling_percent=80, wmark_ratio=95)
DISABLED = MemoryQOS(enable=False, min_limit_percent=30, wmark_ratio=95)
BE = recommended_memory_qos("BE")


@pytest.mark.parametrize(
    ("class_config", "annotation", "expected"),
    [
        (CLASS, None, CLASS),
        (DISABLED, None, NONE),
        (CLASS, "{}", CLASS),
        (DISABLED, "{}", NONE),
        (DISABLED, '{"policy": "default"}', NONE),
        (CLASS, '{"policy": "none"}', NONE),
        (CLASS, '{"policy": "none", "throttlingPercent": 90}', NONE),
        (CLASS, '{"minLimitPercent": 40}', msgspec.structs.replace(CLASS, min_limit_percent=40)),
        (CLASS, '{"policy": "default", "throttlingPercent": 0}', msgspec.structs.replace(CLASS, throttling_percent=0)),
        (
            CLASS,
            '{"policy": "", "pageCacheLimitSize": "1Gi"}',
            msgspec.structs.replace(CLASS, page_cache_limit_size=1 << 30),
        ),
        (DISABLED, '{"minLimitPercent": 40}', MemoryQOS(enable=True, min_limit_percent=40)),
        (CLASS, '{"policy": "auto"}', msgspec.structs.replace(BE, enable=True)),
        # Vector 63 of the reference.
        (
            DISABLED,
            '{"policy": "auto", "throttlingPercent": 90}',
            msgspec.structs.replace(BE, enable=True, throttling_percent=90),
        ),
    ],
)
def test_memory_qos_of_a_pod(class_config, annotation, expected):
    decoded = None if annotation is None else decode(PodMemoryQOS, annotation, MEMORY_KEY)
    assert merge_memory_qos(class_config, decoded, BE) == expected


def test_none_values_are_neutral():
    assert (NONE.enable, NONE.wmark_scale_permill) == (False, 50)
    assert [getattr(NONE, name) for name in NONE.__struct_fields__ if name not in ("enable", "wmark_scale_permill")] == [
        0, 0, 0, 0, 0, 0, 0, None, None, None, None, None,
    ]  # fmt: skip


def test_the_annotation_has_every_field_of_the_class_with_the_same_range():
    pod = {info.encode_name: info.type for info in msgspec.structs.fields(PodMemoryQOS)}
    node = {info.encode_name: info.type for info in msgspec.structs.fields(MemoryQOS)}
    assert pod.keys() - {"policy"} == node.keys() - {"enable"}
    for name in node.keys() - {"enable"}:
        assert pod[name] in (node[name], node[name] | None), name


def asking(qos="", parent="/kubepods/burstable/podx", **annotations):
    keys = {"memory": MEMORY_KEY, "blkio": BLKIO_KEY}
    return pod(qos, parent, {keys[k]: v for k, v in annotations.items()})


LS_PROTECTED = resolve(
    load_policy("resource-qos-config: {lsClass: {memoryQOS: {enable: true, minLimitPercent: 50}}}", "test"), "", {}
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (asking("LS"), 50),
        (asking(), 50),  # burstable without a label counts as LS here
        (asking("BE"), 0),
        (asking("", "/kubepods/podx"), 0),  # guaranteed without a label counts as LSR
        (asking("LS", memory='{"minLimitPercent": 10}'), 10),
        (asking("LS", memory='{"policy": "none"}'), 0),
        (asking("BE", memory='{"policy": "auto", "minLimitPercent": 20}'), 20),
    ],
)
def test_policy_gives_a_pod_its_memory_qos(given, expected):
    assert LS_PROTECTED.memory_qos(given).min_limit_percent == expected


def test_policy_gives_a_pod_its_blocks():
    assert DEFAULT_POLICY.blkio_qos(asking("LS")) is None
    found = DEFAULT_POLICY.blkio_qos(asking("LS", blkio='{"blocks": [{"name": "/dev/sdb"}]}'))
    assert found == PodBlkIOQOS((IOBlock("/dev/sdb"),))


def test_a_bad_annotation_is_the_pods_fault_and_names_every_mistake():
    bad = asking("LS", memory='{"minLimitPercent": 120, "wmarkRatio": "x"}', blkio="{")
    with pytest.raises(AnnotationError) as refused:
        DEFAULT_POLICY.memory_qos(bad)
    assert refused.value.key == MEMORY_KEY
    assert refused.value.problem.startswith(
        'minLimitPercent: expected 0..100, got 120; wmarkRatio: expected an integer 0..100, got "x"'
    )
    with pytest.raises(AnnotationError, match=r"koordinator\.sh/blkioQOS: broken JSON, line 1 column 2: "):
        DEFAULT_POLICY.blkio_qos(bad)
