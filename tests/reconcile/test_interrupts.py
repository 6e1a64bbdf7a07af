"""Interrupts kept off exclusive CPUs, healed, and given back. /proc/irq is a tree of plain files."""

from __future__ import annotations

import errno
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import CapturingLogger

from koordnri.chain import Snapshot
from koordnri.host.interrupts import InterruptFiles
from koordnri.model import CPUSet, NodeState
from koordnri.model.annotations import RESOURCE_STATUS
from koordnri.model.pod import Pod
from koordnri.model.topology import Topology
from koordnri.reconcile.interrupts import Interrupts
from koordnri.state.files import InterruptOriginals
from tests.support.pods import pod
from tests.support.policies import policy_of

ON = policy_of(koordnri_config={"hooks": {"cpuset": {"keepInterruptsOff": True}}})
FREE = NodeState(topology=Topology.regular(1, 1, 8, 1), writes=frozenset({"interrupts"}))


def having(cpus: str) -> NodeState:
    return replace(FREE, exclusive_cpus={"uid-db": {"main": CPUSet.parse(cpus)}})


class Files(InterruptFiles):
    """The kernel manages some interrupts itself."""

    managed: frozenset[int] = frozenset()
    writes = 0
    full = False
    """no vector is free on any CPU, as x86 says while many devices want some"""
    unreadable: frozenset[int] = frozenset()

    def all(self) -> dict[int, CPUSet]:
        return {number: cpus for number, cpus in super().all().items() if number not in self.unreadable}

    def set(self, number: int, cpus: CPUSet) -> None:
        self.writes += 1
        if number in self.managed:
            raise OSError(errno.EIO, "Input/output error")
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().set(number, cpus)


class Machine:
    def __init__(self, root: Path, **irqs: str) -> None:
        self.root, self.state = root, root / "state"
        self.state.mkdir(exist_ok=True)
        self.log: Any = CapturingLogger()
        for name, cpus in irqs.items():
            self.write(int(name.removeprefix("irq")), cpus)
        (root / "proc/irq/default_smp_affinity").write_text("ff\n")
        self.files = Files(root)
        self.start()

    def start(self) -> None:
        """The daemon, which finds what its predecessor saved."""
        on_disk = InterruptOriginals(self.state, self.log)
        self.interrupts = Interrupts(self.files, on_disk.load(), on_disk.save, self.log)

    def write(self, number: int, cpus: str) -> None:
        directory = self.root / f"proc/irq/{number}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "smp_affinity_list").write_text(f"{cpus}\n")

    def follow(self, node: NodeState, policy: Any = ON, pods: tuple[Pod, ...] = ()) -> dict[int, str]:
        self.interrupts.follow(Snapshot.of(policy, node), pods)
        return {number: str(cpus) for number, cpus in self.files.all().items()}


def test_interrupts_leave_exclusive_cpus_and_come_back_when_these_are_free(tmp_path: Path) -> None:
    machine = Machine(tmp_path, irq24="0-7", irq25="2-3", irq26="0")
    assert machine.follow(having("2-3")) == {24: "0-1,4-7", 25: "0-1,4-7", 26: "0"}
    assert machine.follow(having("2-5")) == {24: "0-1,6-7", 25: "0-1,6-7", 26: "0"}
    assert machine.follow(having("5")) == {24: "0-4,6-7", 25: "2-3", 26: "0"}
    assert machine.follow(FREE) == {24: "0-7", 25: "2-3", 26: "0"}
    machine.write(25, "7")
    assert machine.follow(FREE)[25] == "7", "nothing of ours is left there"


@pytest.mark.parametrize(
    ("policy", "node"),
    [
        pytest.param(policy_of(), having("2-3"), id="switched-off"),
        pytest.param(ON, replace(having("2-3"), writes=frozenset()), id="no-right"),
        pytest.param(ON, replace(having("2-3"), released=frozenset("*")), id="released"),
        pytest.param(
            policy_of(koordnri_config={"hooks": {"cpuset": {"keepInterruptsOff": True, "mode": "observe"}}}),
            having("2-3"),
            id="observed",
        ),
    ],
)
def test_what_turns_it_off_gives_them_back_also_after_a_restart(tmp_path: Path, policy: Any, node: NodeState) -> None:
    machine = Machine(tmp_path, irq24="0-7")
    assert machine.follow(having("2-3")) == {24: "0-1,4-7"}
    machine.start()
    assert machine.follow(node, policy) == {24: "0-7"}
    machine.start()
    machine.files.writes = 0
    machine.follow(node, policy)
    assert machine.files.writes == 0


def test_a_foreign_write_is_healed_and_not_taken_for_what_it_had(tmp_path: Path) -> None:
    machine = Machine(tmp_path, irq24="0-7")
    machine.follow(having("2-3"))
    machine.write(24, "2")
    assert machine.follow(having("2-3")) == {24: "0-1,4-7"}
    assert machine.follow(FREE) == {24: "0-7"}


def test_cpus_of_a_scheduler_count_too(tmp_path: Path) -> None:
    one = pod("LSR", annotations={RESOURCE_STATUS.key: {"cpuset": "6-7"}})
    assert Machine(tmp_path, irq24="0-7").follow(FREE, pods=(one,)) == {24: "0-5"}


def test_one_that_the_kernel_keeps_is_tried_once_and_costs_no_other(tmp_path: Path) -> None:
    machine = Machine(tmp_path, irq24="0-7", irq25="0-7")
    machine.files.managed = frozenset({24})
    assert machine.follow(having("2-3")) == {24: "0-7", 25: "0-1,4-7"}
    tried = machine.files.writes
    machine.follow(having("2-3"))
    assert machine.files.writes == tried
    assert [call.kwargs["number"] for call in machine.log.calls] == [24]


def test_what_the_kernel_refuses_for_now_is_tried_again_and_given_back(tmp_path: Path) -> None:
    machine = Machine(tmp_path, irq24="0-7")
    machine.files.full = True
    assert machine.follow(having("2-3")) == machine.follow(having("2-3")) == {24: "0-7"}
    assert len(machine.log.calls) == 1
    machine.files.full = False
    assert machine.follow(having("2-3")) == {24: "0-1,4-7"}
    machine.files.full = True
    assert machine.follow(FREE) == {24: "0-1,4-7"}
    machine.start()
    machine.files.full = False
    assert machine.follow(FREE) == {24: "0-7"}
    machine.write(24, "1")
    assert machine.follow(FREE) == {24: "1"}, "nothing of ours is left there"


@pytest.mark.parametrize("meanwhile", [having("2-3"), FREE], ids=["wanted", "given back"])
def test_an_interrupt_that_cannot_be_read_once_is_not_forgotten(tmp_path: Path, meanwhile: NodeState) -> None:
    machine = Machine(tmp_path, irq24="0-7", irq25="0-7")
    machine.follow(having("2-3"))
    machine.files.unreadable = frozenset({24})
    machine.follow(meanwhile)
    machine.files.unreadable = frozenset()
    assert machine.follow(FREE) == {24: "0-7", 25: "0-7"}


def test_an_interrupt_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    machine = Machine(tmp_path, irq24="0-7", irq25="0-7")
    machine.follow(having("2-3"))
    shutil.rmtree(tmp_path / "proc/irq/24")
    machine.follow(having("2-3"))
    assert InterruptOriginals(machine.state, machine.log).load() == {25: CPUSet.parse("0-7")}


def test_where_all_cpus_are_exclusive_an_interrupt_stays_where_it_is(tmp_path: Path) -> None:
    assert Machine(tmp_path, irq24="1").follow(having("0-7")) == {24: "1"}


def test_a_host_without_interrupts_and_a_broken_file_of_originals(tmp_path: Path) -> None:
    machine = Machine(tmp_path, irq24="0-7")
    (machine.state / "interrupts.json").write_text('{"x": "y"}')
    machine.start()
    assert machine.follow(having("2-3")) == {24: "0-1,4-7"}
    assert InterruptFiles(tmp_path / "nowhere").all() == {}
