"""The life of one field, from a hook to the file and the runtime and back again: a row of the table and nothing else makes it work.

python -m tests.field_walk memory.x 2 /somewhere     walks a field in a tree of plain files; what goes wrong is an exception
"""

from __future__ import annotations

import sys
from pathlib import Path

from koordnri.hook import ContainerContext, RootContext
from koordnri.host.cgroup.change import Change, Status
from koordnri.host.cgroup.paths import ROOT_DIRECTORY
from koordnri.host.cgroup.spelling import file_names, form
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Container, Decision, Event, Field, NodeState, Pod, fields
from koordnri.model.difference import restorations, through_runtime
from koordnri.model.field import Spelling
from koordnri.model.fields import split_name
from koordnri.model.resources import NOTHING
from koordnri.model.routes import REPLY, WRITE
from koordnri.model.topology import Topology
from koordnri.policy import DEFAULT_POLICY
from koordnri.reconcile.plan import back_to_baseline, wanted
from koordnri.session.encode import put_resources
from koordnri.session.translate import resources_from
from koordnri.wire import api_pb2 as api
from koordnri.wire import views_pb2 as views

DIRECTORY = "kubepods/pod1/c1"
SAMPLES = {
    Spelling.NUMBER: 1,
    Spelling.SIGNED: 1,
    Spelling.PROCESSES: 1,
    Spelling.CPUSET: "0",
    Spelling.QUOTA: 20_000,
    Spelling.PERIOD: 50_000,
    Spelling.SHARES: 2048,
    Spelling.LIMIT: 1 << 30,
    Spelling.MAX: 1 << 30,
    Spelling.PROTECTION: 1 << 20,
    Spelling.DISK_LIMITS: "rbps=1048576",
    Spelling.DISK_WEIGHT: 50,
    Spelling.DISK_LATENCY: "target=2500",
    Spelling.DISK_NUMBER: 50,
    Spelling.DISK_OPERATIONS: 50,
    Spelling.DISK_WORDS: "enable=1",
    Spelling.SWITCH: 1,
}
"""A value that is nobody's neutral one."""
FEATURE = "NEXT_BUDDY"
"""A scheduler feature; before the walk it is off."""


def node_with(field: Field, version: int) -> NodeState:
    """A node whose kernel offers the field, in the root too if it is there that it belongs."""
    offered = frozenset({field.v1} if version == 1 else field.v2)
    return NodeState(
        topology=Topology.regular(1, 1, 4, 2),
        memory_nodes="0-1",
        cgroup_version=version,
        cgroup_files=offered,
        root_files=offered,
        block_devices={"/dev/sda": "8:0"},
    )


def decide(field: Field, node: NodeState) -> Decision:
    """As a hook does that sets nothing but this field, of a container that runs, or of the root of all cgroups."""
    ctx: ContainerContext | RootContext
    if field.of_root:
        ctx = RootContext(DEFAULT_POLICY, node, node.root_routes)
    else:
        pod = Pod("p1", "uid-1", "default", "web")
        container, event = Container("c1", "main", "p1", NOTHING), Event.SYNC
        ctx = ContainerContext(pod, container, event, DEFAULT_POLICY, node, node.routes(event))
    ctx.hook, ctx.owns = "walk", frozenset({field})
    assert field.spelling is not None
    value = "ctrl=user model=linear" if field is fields.IO_COST_MODEL else SAMPLES[field.spelling]
    key = FEATURE if field.spelling is Spelling.SWITCH else "/dev/sda"
    ctx.set(field, value, "because", key if field.keyed else "")
    assert not ctx.skipped, ctx.skipped
    return ctx.made()


def walk_file(field: Field, writer: Writer, node: NodeState) -> None:
    """Set the field and give it back, as the reconciler does."""
    directory = ROOT_DIRECTORY if field.of_root else DIRECTORY
    decision = decide(field, node)
    [change] = wanted(directory, decision, node).values()
    _write(writer, change)
    [name] = decision.settings
    back = back_to_baseline(directory, [name], Decision(), NOTHING, node, {name: field.neutral})
    _write(writer, back[name])
    found = form(field, node.cgroup_version)
    assert found is not None
    whole = getattr(node, field.whole) if field.whole else field.neutral
    assert found.same(str(whole) if field.whole else whole, writer.read(*back[name][:3]).value)
    assert {file.rpartition("/")[2] for file in found.files} <= file_names(), "nobody would see what others write there"
    assert split_name(name)[0] is field


def walk_runtime(field: Field, node: NodeState) -> None:
    """Set the field by an update through the runtime and give it back, as a reply does."""
    decision = decide(field, node)
    [setting] = decision.settings.values()
    if not field.update or setting.route == WRITE:
        return
    assert setting.route == REPLY
    message = api.LinuxResources()
    put_resources(message, [setting], node)
    stored = resources_from(views.LinuxResources.FromString(message.SerializeToString()))
    assert stored != NOTHING, "the update carries nothing"
    [back] = restorations(Decision(), NOTHING, stored, NOTHING, node, [through_runtime([setting])])
    assert back.field is field
    neutral = api.LinuxResources()
    put_resources(neutral, [back], node)
    assert neutral.ByteSize()
    assert neutral != message


def _write(writer: Writer, change: Change) -> None:
    [outcome] = writer.apply([[change]])
    assert outcome.status is Status.WRITTEN, outcome
    assert writer.holds(change)


def main(name: str, version: int, root: Path) -> None:
    """Walk a field whose file holds one value, in plain files."""
    field, _ = split_name(name)
    assert field is not None, f"the table has no row {name}"
    node = node_with(field, version)
    file = field.v1 if version == 1 else field.v2[0]
    controller, _, leaf = file.rpartition("/")
    directory = root / "sys/fs/cgroup" / controller / DIRECTORY
    directory.mkdir(parents=True)
    (directory / leaf).write_text("0\n")
    walk_file(field, Writer(root, version), node)
    walk_runtime(field, node)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
