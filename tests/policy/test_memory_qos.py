"""memoryQOS of a class, and what a pod's annotation makes of it."""

import msgspec
import pytest

from koordnri.policy import (
    MemoryQOS,
    PodMemoryQOS,
    merge_memory_qos,
    recommended_memory_qos,
)
from koordnri.policy.reader import decode

NONE = MemoryQOS()
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
    decoded = None if annotation is None else decode(PodMemoryQOS, annotation)
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
