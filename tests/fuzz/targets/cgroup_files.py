"""Any content of a cgroup's files: each field has a value or a status other than FAULT, and so has each write.

The first byte chooses the cgroup version and the field that is written.
"""

from __future__ import annotations

from koordnri.host.cgroup.change import Change, Status
from koordnri.host.cgroup.spelling import form
from koordnri.host.cgroup.writer import Writer
from koordnri.host.usage.files import UsageFiles
from koordnri.host.usage.usage import read_usage
from koordnri.model import fields
from tests.fuzz.trees import tree

POD = "kubepods/pod"
_DISK = "8:0"


def check(data: bytes) -> None:
    """The files of one cgroup, see `tree`."""
    if not data:
        return
    version = 1 + (data[0] & 1)
    with tree(data[1:]) as root:
        writer = Writer(root, version)
        found = [(f, key, writer.read(POD, f, key)) for f in fields.ALL for key in (("", _DISK) if f.keyed else ("",))]
        changes = []
        for field, key, reading in found:
            assert reading.status is not Status.FAULT, (field.name, reading)
            if reading.value is not None and form(field, version):
                changes.append(Change(POD, field, key, reading.value))
        if changes:
            chosen = changes[(data[0] >> 1) % len(changes)]
            neutral = chosen._replace(value=chosen.field.neutral)
            for outcome in writer.apply([[chosen]]) + writer.apply([[neutral]]):
                assert outcome.status is not Status.FAULT, outcome
        read_usage(UsageFiles(root, version), POD, threads=True)
