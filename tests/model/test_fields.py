"""The field table: what counts as the same value, which file carries a field, and by which route it can be set."""

import pytest

from koordnri.model import Event, NodeState, fields
from koordnri.model.difference import baseline_value
from koordnri.model.field import Adjust
from koordnri.model.node import MAINLINE_V2_FILES
from koordnri.model.resources import NOTHING
from koordnri.model.routes import ADJUST, REPLY, RESCTRL, WRITE, Refusal
from koordnri.model.topology import Topology


@pytest.mark.parametrize(
    ("field", "a", "b", "same"),
    [
        (fields.CPU_CPUS, "0-3", "0,1,2,3", True),
        (fields.CPU_CPUS, "0-3", "3,0-2", True),
        (fields.CPU_CPUS, "0-3", "0-4", False),
        (fields.CPU_CPUS, "odd", "odd", True),
        (fields.CPU_CPUS, "odd", "0", False),
        (fields.CPU_MEMS, "0,1", "0-1", True),
        (fields.CPU_QUOTA, -1, None, True),
        (fields.CPU_QUOTA, -1, 0, True),
        (fields.CPU_QUOTA, -1, -5, True),
        (fields.CPU_QUOTA, 1000, -1, False),
        (fields.CPU_QUOTA, 1000, 1000, True),
        (fields.MEMORY_LIMIT, -1, 0, True),
        (fields.MEMORY_LIMIT, 1, 2, False),
        (fields.MEMORY_HIGH, -1, None, True),
        (fields.MEMORY_MIN, 0, 0, True),
        (fields.MEMORY_MIN, 0, -1, False),
        (fields.CPU_SHARES, 2, 1024, False),
        (fields.RDT_CLOSID, "LS", "LS", True),
        (fields.MOUNT, fields.Mount("/a"), fields.Mount("/a", "bind", ("rbind",)), True),
    ],
)
def test_two_spellings_of_a_value_are_the_same(field, a, b, same):
    assert field.same(a, b) is same
    assert field.same(b, a) is same


def test_names_are_unique_and_keyed_ones_carry_their_key():
    names = [f.name for f in fields.ALL]
    assert len(set(names)) == len(names)
    assert fields.ENV.named("PATH") == "env[PATH]"
    assert fields.CPU_QUOTA.named("") == "cpu.quota"


@pytest.mark.parametrize(
    ("field", "version", "present", "file"),
    [
        (fields.CPU_QUOTA, 1, frozenset(), "cpu/cpu.cfs_quota_us"),
        (fields.CPU_QUOTA, 2, MAINLINE_V2_FILES, "cpu.max"),
        (fields.CPU_QUOTA, 2, frozenset(), ""),
        (fields.MEMORY_HIGH, 1, MAINLINE_V2_FILES, ""),
        (fields.IO_WEIGHT, 2, frozenset({"io.weight", "io.bfq.weight"}), "io.weight"),
        (fields.IO_WEIGHT, 2, frozenset({"io.bfq.weight"}), "io.bfq.weight"),
        (fields.ENV, 2, MAINLINE_V2_FILES, ""),
    ],
)
def test_the_kernel_decides_which_file_carries_a_field(field, version, present, file):
    assert field.file(version, present) == file
    assert NodeState(cgroup_version=version, cgroup_files=present).field_files[field] == file


NODES = [
    NodeState(topology=Topology.regular(1, 1, 4, 2), memory_nodes="0", cgroup_version=1),
    NodeState(topology=Topology.regular(1, 1, 4, 2), memory_nodes="0"),
]


@pytest.mark.parametrize("node", NODES, ids=["v1", "v2"])
@pytest.mark.parametrize(
    "field", [f for f in fields.ALL if (f.update or f.v1 or f.v2) and not f.noted], ids=lambda f: f.name
)
def test_everything_that_can_be_changed_while_a_container_runs_can_be_given_back(field, node):
    """To the neutral value where kubelet asked for nothing; of a cpuset, that is all that the node has."""
    back = baseline_value(field, NOTHING, node)
    assert back is not None
    assert field.same(back, field.neutral) or str(getattr(node, field.whole)) == back


UNIFIED = [f for f in fields.ALL if f.adjust == "unified"]


@pytest.mark.parametrize("field", UNIFIED, ids=lambda f: f.name)
@pytest.mark.parametrize("event", list(Event))
def test_v1_refuses_every_unified_field(field, event):
    route = NodeState(cgroup_version=1).routes(event)[field]
    assert isinstance(route, Refusal)
    assert str(route) == f"cgroup v1 has no {field.v2[0]}"


@pytest.mark.parametrize("field", UNIFIED, ids=lambda f: f.name)
@pytest.mark.parametrize("event", list(Event))
def test_v2_refuses_a_unified_field_whose_file_the_kernel_lacks(field, event):
    route = NodeState(cgroup_files=MAINLINE_V2_FILES - set(field.v2)).routes(event)[field]
    assert isinstance(route, Refusal)
    assert field.v2[0] in route


def test_at_create_all_of_a_mainline_v2_kernel_goes_into_the_adjustment():
    assert {r for f, r in NodeState().create_routes.items() if f.adjust != "file"} == {ADJUST}
    assert {f.name for f, r in NodeState().create_routes.items() if r == WRITE} == {"cpu.idle"}


@pytest.mark.parametrize("event", [Event.UPDATE, Event.SYNC])
def test_later_only_resources_can_be_replied(event):
    routes = NodeState().routes(event)
    routes = {f: r for f, r in routes.items() if f.adjust != "file"}
    refused = {f.name for f, r in routes.items() if isinstance(r, Refusal)}
    parts = {f.name for f in fields.ALL if f.adjust is Adjust.PART}
    assert (
        refused
        == {"blockio.class", "pids.limit", "env", "mount", "device", "cdi", "cpus.env", "cpus.file", "oom_score_adj"}
        | parts
    )
    assert {f.name for f, r in routes.items() if r == RESCTRL} == {"rdt.closid"}
    assert {r for r in routes.values() if not isinstance(r, Refusal)} == {REPLY, RESCTRL}


@pytest.mark.parametrize("event", list(Event))
def test_what_v1_has_on_some_kernels_only_is_written_where_it_was_seen(event):
    seen = NodeState(cgroup_version=1, cgroup_files=frozenset({"memory/memory.min", "cpu/cpu.bvt_warp_ns"}))
    assert {f.name for f, r in seen.routes(event).items() if r == WRITE} == {"memory.min", "cpu.bvt_warp_ns"}
    assert str(seen.routes(event)[fields.CPU_IDLE]) == "cgroup v1 has no cpu.idle"
    assert str(seen.routes(event)[fields.IO_READ_BPS]) == "cgroup v1 has no blkio.throttle.read_bps_device"
    assert str(NodeState().routes(event)[fields.IO_READ_BPS]) == "cgroup v2 has no io.read_bps"


@pytest.mark.parametrize(
    ("node", "written"),
    [
        (
            NodeState(cgroup_version=1),
            {"cpu.cpus", "cpu.mems", "cpu.quota", "cpu.period", "cpu.shares", "memory.limit"},
        ),
        (
            NodeState(cgroup_files=frozenset({"cpu.max", "memory.low"})),
            {"cpu.quota", "cpu.period", "memory.low"},
        ),
    ],
)
def test_a_pods_fields_are_files_or_refused(node, written):
    assert {f.name for f, r in node.pod_routes.items() if r == WRITE} == written
    assert all(isinstance(r, Refusal) for r in node.pod_routes.values() if r != WRITE)
    assert str(node.pod_routes[fields.ENV]) == "env is not a cgroup setting"
