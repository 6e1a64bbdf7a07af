"""Which CPUs serve each interrupt."""

from __future__ import annotations

from pathlib import Path

import pytest

from koordnri.host.interrupts import InterruptFiles
from koordnri.model.cpuset import CPUSet


def tree(root: Path, **irqs: str) -> InterruptFiles:
    for number, text in irqs.items():
        directory = root / "proc/irq" / number.removeprefix("irq")
        directory.mkdir(parents=True)
        (directory / "smp_affinity_list").write_text(text)
    return InterruptFiles(root)


def test_interrupts_by_number_without_those_that_have_no_cpus_or_cannot_be_read(tmp_path: Path) -> None:
    files = tree(tmp_path, irq30="0-1,4\n", irq4="7\n", irq5="\n", irq6="x\n")
    (tmp_path / "proc/irq/7").mkdir()
    (tmp_path / "proc/irq/default_smp_affinity").write_text("ff\n")
    assert files.all() == {4: CPUSet([7]), 30: CPUSet([0, 1, 4])}


def test_one_is_set_and_a_missing_one_is_never_made(tmp_path: Path) -> None:
    files = tree(tmp_path, irq4="0-7\n")
    files.set(4, CPUSet([1, 2]))
    assert files.all() == {4: CPUSet([1, 2])}
    with pytest.raises(FileNotFoundError):
        files.set(5, CPUSet([1]))
