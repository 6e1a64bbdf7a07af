"""JSON as Go reads it: null, letter case, keys that come twice, unknown keys."""

from __future__ import annotations

import msgspec
import pytest
from koordnri_hooks.batch import batch_of

from koordnri.model import Pod
from koordnri.model.annotations import (
    BATCH_CPU,
    EXTENDED_RESOURCE_SPEC,
    AllocatedDevice,
    ExtendedResourceSpec,
    NUMANodeResource,
    ResourceStatus,
)
from koordnri.model.go_json import go_decoder, unknown_keys
from koordnri.model.resctrl_spec import ResctrlSpec

STATUS = go_decoder(ResourceStatus)
DEVICES = dict[str, list[AllocatedDevice]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("null", ResourceStatus()),
        ("{}", ResourceStatus()),
        ('{"cpuset": "0-1", "numaNodeResources": null}', ResourceStatus("0-1")),
        ('{"CPUSet": "0-1"}', ResourceStatus("0-1")),
        ('{"cpuset": "0", "CPUSET": "1"}', ResourceStatus("1")),
        ('{"CPUSET": "1", "cpuset": "0"}', ResourceStatus("0")),
        ('{"cpuset": "0", "cpuset": "1"}', ResourceStatus("1")),
        ('{"cpuset": "0", "CPUSET": null}', ResourceStatus("0")),
        ('{"cpuset": "0", "since": "a newer Koordinator"}', ResourceStatus("0")),
        (
            '{"NUMANodeResources": [{"Node": 1, "resources": {"cpu": null, "memory": 5}}, null]}',
            ResourceStatus("", [NUMANodeResource(1, {"memory": 5})]),
        ),
    ],
)
def test_a_resource_status_is_read_as_Go_reads_it(text, expected):
    assert STATUS(text) == expected


@pytest.mark.parametrize(
    "text", ["[]", "7", '{"cpuset": 1}', '{"CPUSet": 1}', '{"numaNodeResources": [{"Node": "x"}]}', "{"]
)
def test_what_Go_refuses_is_refused(text):
    with pytest.raises(msgspec.DecodeError):
        STATUS(text)


def test_devices_have_no_extension_and_no_resources_where_they_are_null():
    text = '{"gpu": [{"minor": 0, "resources": null, "Extension": {"vfs": null}}], "rdma": null}'
    assert go_decoder(DEVICES)(text)["gpu"][0].resources == {}
    assert "rdma" not in go_decoder(DEVICES)(text)


def test_a_container_that_is_null_is_one_without_batch_resources():
    assert go_decoder(ExtendedResourceSpec)('{"containers": {"a": null}}').containers["a"].limits == {}
    text = '{"Containers": {"a": {"Limits": {"kubernetes.io/batch-cpu": null}}, "A": {"limits": {"kubernetes.io/batch-cpu": 5}}}}'
    pod = Pod("p", "u", "n", "p", {}, {EXTENDED_RESOURCE_SPEC.key: text})
    assert batch_of(pod, "a", BATCH_CPU).limit is None, "names of containers keep their letter case"
    assert batch_of(pod, "A", BATCH_CPU).limit == 5


def test_what_is_written_in_two_parts_is_put_together():
    text = '{"llc": {"schemata": {"range": [0, 50]}}, "LLC": {"SchemataPerCache": [{"cacheid": 1, "Range": [0, 20]}]}}'
    spec = go_decoder(ResctrlSpec)(text)
    assert spec.llc.schemata.range == (0, 50)
    assert spec.llc.schemata_per_cache[0].cache_id == 1


@pytest.mark.parametrize(
    ("type_", "text", "unknown"),
    [
        (ResourceStatus, '{"cpuset": "0", "CPUSet": "1"}', []),
        (ResourceStatus, '{"cpuSet ": "0", "numaNodeResources": [{"node": 0, "cpu": 1}]}', ["cpuSet ", "numaNodeResources[0].cpu"]),
        (ResctrlSpec, '{"LLC": {"schemata": {"ranges": [0, 5]}}, "l4": 1}', ["llc.schemata.ranges", "l4"]),
        (DEVICES, '{"gpu": [{"minor": 0, "uuid": "x"}], "fpga": []}', ["gpu[0].uuid"]),
        (ResctrlSpec, '{"l2": {"schemataPerCache": [null, {"x": 1}]}}', ["l2.schemataPerCache[1].x"]),
        (ResourceStatus, "{", []),
        (ResourceStatus, "[" * 100_000, []),
    ],
)  # fmt: skip
def test_unknown_keys_are_found_with_their_path(type_, text, unknown):
    assert unknown_keys(type_, text) == unknown
