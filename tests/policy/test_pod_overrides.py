"""The same reader on pod annotations, and what a pod's annotation does to its class's values."""

import pytest

from koordnri.model import AnnotationError
from koordnri.policy import (
    DEFAULT_POLICY,
    DocumentError,
    load_policy,
    resolve,
)
from koordnri.policy.blkio_qos import IOBlock, IOConfig, PodBlkIOQOS
from koordnri.policy.qos import CPUQOS
from koordnri.policy.reader import decode
from tests.support.pods import pod

MEMORY_KEY, BLKIO_KEY = "koordinator.sh/memoryQOS", "koordinator.sh/blkioQOS"


def test_keys_match_in_any_case_and_unknown_ones_are_ignored():
    text = '{"BLOCKS": [{"Name": "/dev/sdb", "TYPE": "device", "iocfg": {"readiops": 5, "WRITEBPS": "1Mi", "new": 1}}], "x": {}}'
    assert decode(PodBlkIOQOS, text) == PodBlkIOQOS(
        (IOBlock("/dev/sdb", "device", IOConfig(read_iops=5, write_bps=1 << 20)),)
    )


@pytest.mark.parametrize(
    ("type_", "text", "expected"),
    [
        (CPUQOS, '{"enable": true, "groupIdentity": 5}', ["groupIdentity: expected -1..2, got 5"]),
        (CPUQOS, '{"enable": tru}', ["broken JSON, line 1 column 12: expecting value"]),
        (
            CPUQOS,
            '{"enable": true,\n "groupIdentity" 5}',
            ["broken JSON, line 2 column 18: expecting ':' delimiter"],
        ),
        (CPUQOS, "", ["broken JSON, line 1 column 1: expecting value"]),
        (CPUQOS, "[]", ["expected a mapping, got []"]),
        (CPUQOS, '{"groupIdentity": NaN}', ["broken JSON, NaN is not a number that JSON knows"]),
        (CPUQOS, "[" * 100_000, ["nested deeper than 64 levels"]),
        (
            PodBlkIOQOS,
            '{"blocks": [{"name": "x", "ioCfg": {"readIOPS": "1", "readBPS": "fast"}}, 7]}',
            [
                'blocks[0].ioCfg.readIOPS: expected an integer at least 0, got "1"',
                'blocks[0].ioCfg.readBPS: expected a quantity such as 10M or 1Gi, got "fast"',
                "blocks[1]: expected a mapping, got 7",
            ],
        ),
        (
            dict[str, list[int]],
            '{"a": [1, "x"], "b": 2}',
            ['a[1]: expected an integer, got "x"', "b: expected a list, got 2"],
        ),
    ],
)
def test_mistakes_name_path_and_position(type_, text, expected):
    with pytest.raises(DocumentError) as refused:
        decode(type_, text)
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
    assert decode(type_, text) == expected


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
