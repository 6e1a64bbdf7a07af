"""A writer on a fake kernel with the cgroups of one pod, and changes for it."""

from __future__ import annotations

from typing import Any

import pytest

from koordnri.host.cgroup.change import Change, Outcome, by_level
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Field
from tests.host.fake_kernel import ROOT, FakeKernel

TOP = "kubepods"
POD = "kubepods/podX"
C1 = "kubepods/podX/c1"
C2 = "kubepods/podX/c2"
TREE = (TOP, POD, C1, C2)
BOTH = pytest.mark.parametrize("version", [1, 2])


def change(directory: str, field: Field, value: Any, key: str = "", force: bool = False) -> Change:
    return Change(directory, field, key, value, force)


def kernel_and_writer(version: int) -> tuple[FakeKernel, Writer]:
    kernel = FakeKernel(version, TREE)
    return kernel, Writer(ROOT, version, kernel)


def apply(writer: Writer, *changes: Change) -> dict[tuple[str, Field], Outcome]:
    outcomes = writer.apply(by_level(changes))
    return {(o.change.directory, o.change.field): o for o in outcomes}


def one(writer: Writer, the_change: Change) -> Outcome:
    (outcome,) = writer.apply([[the_change]])
    return outcome
