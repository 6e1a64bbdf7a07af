"""crun under systemd on v2: the level below a container's scope is written, held and judged with the scope."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koordnri.host.cgroup.change import Change, Status, by_level
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Field, fields
from tests.host.fake_kernel import PAGE, ROOT, Cgroup, FakeKernel

POD = "kubepods.slice/kubepods-podX.slice"
SCOPE = f"{POD}/crio-c.scope"
INNER = f"{SCOPE}/container"
OTHER = f"{POD}/crio-d.scope"
MIB = 1 << 20


def crun(version: int = 2) -> tuple[FakeKernel, Writer]:
    """A pod with a container of crun and one of runc."""
    kernel = FakeKernel(version, ("kubepods.slice", POD, SCOPE, INNER, OTHER))
    return kernel, Writer(ROOT, version, kernel)


def quota(directory: str, us: int) -> Change:
    return Change(directory, fields.CPU_QUOTA, "", us)


@pytest.mark.parametrize(
    ("field", "key", "value"),
    [
        (fields.CPU_QUOTA, "", 50_000),
        (fields.CPU_PERIOD, "", 50_000),
        (fields.CPU_SHARES, "", 512),
        (fields.CPU_CPUS, "", "1-2"),
        (fields.CPU_IDLE, "", 1),
        (fields.MEMORY_LIMIT, "", 8 * PAGE),
        (fields.MEMORY_HIGH, "", 8 * PAGE),
        (fields.MEMORY_MIN, "", 8 * PAGE),
        (fields.IO_MAX, "8:0", "rbps=1024"),
    ],
)
def test_both_levels_have_what_is_wanted(field: Field, key: str, value: Any) -> None:
    kernel, writer = crun()
    change = Change(SCOPE, field, key, value)
    (outcome,) = writer.apply([[change]])
    assert (outcome.change, outcome.status, outcome.error) == (change, Status.WRITTEN, "")
    assert len({path.rpartition("/")[0] for path, _ in kernel.log}) == 2
    for directory in (SCOPE, INNER):
        assert Writer(ROOT, 2, kernel).read(directory, field, key).value == outcome.after
    kernel.log.clear()
    assert writer.apply([[change]])[0].status is Status.SAME
    assert writer.holds(change)
    assert kernel.log == []


def test_a_limit_grows_from_the_outside_and_shrinks_from_the_inside() -> None:
    kernel, writer = crun()
    for us in (50_000, 20_000, 90_000, -1, 10_000):
        kernel.log.clear()
        writer.apply(by_level([quota(POD, us), quota(SCOPE, us)]))
        assert (kernel.cgroups[INNER].quota or -1, kernel.cgroups[SCOPE].quota or -1) == (us, us)
        grows = us in (90_000, -1)
        assert [path.rpartition("/")[0] for path, _ in kernel.log] == (
            [POD, SCOPE, INNER] if grows else [INNER, SCOPE, POD]
        )
    assert kernel.violations == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from([-1, 5_000, 20_000, 70_000])] * 3), max_size=5))
def test_at_no_time_has_the_inner_level_more_than_the_outer(values: list[tuple[int, int, int]]) -> None:
    kernel, writer = crun()
    for pod, mine, others in values:
        inside = mine if pod < 0 or 0 < mine < pod else pod
        outcomes = writer.apply(by_level([quota(POD, pod), quota(SCOPE, inside), quota(OTHER, others)]))
        assert [o.error for o in outcomes if o.change.directory != OTHER and o.error] == []
        assert (kernel.cgroups[INNER].quota or -1) == (kernel.cgroups[SCOPE].quota or -1) == inside
    assert [v for v in kernel.violations if OTHER not in v] == []


@pytest.mark.parametrize("lost", [SCOPE, INNER])
def test_a_value_lost_on_one_level_alone_is_seen_and_brought_back(lost: str) -> None:
    """crun <= 1.21 makes of a quota of -1 with a period 1 % of a CPU, on the scope alone."""
    kernel, writer = crun()
    change = quota(SCOPE, -1)
    kernel.cgroups[lost].quota = 1_000
    assert not writer.holds(change)
    (outcome,) = writer.apply([[change]])
    assert (outcome.status, outcome.before, outcome.after) == (Status.WRITTEN, 1_000, -1)
    assert kernel.cgroups[lost].quota is None


def test_what_is_refused_on_one_level_is_refused_of_the_container() -> None:
    kernel, writer = crun()
    kernel.cgroups[INNER].cpus = kernel.cgroups[SCOPE].cpus = frozenset({1, 2})

    def fails(path: str, text: str) -> None:
        if path.endswith(f"{INNER}/cpuset.cpus"):
            raise PermissionError(13, "no")

    kernel.before_write = fails
    (outcome,) = writer.apply([[Change(SCOPE, fields.CPU_CPUS, "", "2")]])
    assert outcome.status is Status.REFUSED
    assert f"{INNER}/cpuset.cpus" in outcome.error
    assert kernel.cgroups[SCOPE].cpus == {1, 2}, "else the processes would have less than was written"


def test_a_memory_limit_goes_below_what_is_in_use_on_neither_level() -> None:
    kernel, writer = crun()
    for directory in (SCOPE, INNER):
        kernel.cgroups[directory].usage = 64 * MIB
    (outcome,) = writer.apply([[Change(SCOPE, fields.MEMORY_LIMIT, "", 32 * MIB)]])
    assert outcome.status is Status.REFUSED
    assert kernel.log == []
    kernel.cgroups[INNER].usage = kernel.cgroups[SCOPE].usage = 16 * MIB
    assert writer.apply([[Change(SCOPE, fields.MEMORY_LIMIT, "", 32 * MIB)]])[0].status is Status.WRITTEN
    assert kernel.violations == []


def test_a_burst_waits_for_the_quota_of_both_levels() -> None:
    kernel, writer = crun()
    kernel.cgroups[INNER].quota, kernel.cgroups[SCOPE].quota = 50_000, 100_000
    burst = Change(SCOPE, fields.CPU_BURST, "", 80_000)
    assert writer.apply([[burst]])[0].status is Status.WAITS
    kernel.cgroups[INNER].quota = 100_000
    assert writer.apply([[burst]])[0].status is Status.WRITTEN
    assert (kernel.cgroups[SCOPE].burst, kernel.cgroups[INNER].burst) == (80_000, 80_000)


def test_a_file_that_the_inner_level_does_not_offer_is_the_scopes_alone() -> None:
    """Which controllers reach down to it, the scope decides."""
    kernel, writer = crun()
    files = kernel._files
    kernel._files = lambda path: {n: t for n, t in files(path).items() if path != INNER or not n.startswith("io.")}  # type: ignore[method-assign]
    change = Change(SCOPE, fields.IO_MAX, "8:0", "rbps=1024")
    assert not writer.holds(change)
    assert writer.apply([[change]])[0].status is Status.WRITTEN
    assert writer.holds(change)
    assert writer.read(SCOPE, fields.IO_MAX, "8:0").value.startswith("rbps=1024")


def test_a_scope_is_looked_into_again_by_the_next_writer_for_each_pass_has_its_own() -> None:
    kernel, writer = crun()
    inner = kernel.cgroups.pop(INNER)
    assert writer.holds(quota(SCOPE, -1))
    inner.quota = 5_000
    kernel.cgroups[INNER] = inner
    writer = Writer(ROOT, 2, kernel)
    assert not writer.holds(quota(SCOPE, -1))
    assert writer.read(SCOPE, fields.CPU_QUOTA).value == 5_000, "what the processes have"
    del kernel.cgroups[INNER]  # its last process has ended
    assert writer.apply([[quota(SCOPE, 7_000)]])[0].status is Status.WRITTEN
    assert writer.holds(quota(SCOPE, 7_000))


def test_nothing_else_has_an_inner_level() -> None:
    """A pod's slice, a class, a container under cgroupfs, and v1, where crun keeps processes in the scope."""
    for version, directory in ((2, POD), (2, "kubepods/podX/c"), (1, SCOPE)):
        kernel = FakeKernel(version, ("kubepods.slice", POD, "kubepods", "kubepods/podX", "kubepods/podX/c", SCOPE))
        kernel.cgroups[f"{directory}/container"] = Cgroup()
        assert Writer(ROOT, version, kernel).apply([[quota(directory, 5_000)]])[0].status is Status.WRITTEN
        assert kernel.cgroups[f"{directory}/container"].quota is None
