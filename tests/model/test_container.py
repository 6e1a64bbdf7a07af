"""A container as the runtime reports it."""

from __future__ import annotations

from koordnri.model import Container, Resources


def test_at_its_creation_the_runtime_stores_what_kubelet_asked_for() -> None:
    asked = Resources(cpu_quota=50_000)
    assert Container("c", "main", "p", asked).stored is asked


def test_later_the_stored_values_are_others() -> None:
    asked, stored = Resources(cpu_quota=50_000), Resources(cpu_quota=25_000)
    it = Container("c", "main", "p", asked, stored)
    assert (it.baseline, it.stored) == (asked, stored)
