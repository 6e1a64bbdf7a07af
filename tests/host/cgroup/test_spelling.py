"""How values are spelled in cgroup files: texts as kernels show them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.host.cgroup.spelling import Form, check_neutral, form
from koordnri.host.memory import page_bytes
from koordnri.model import CPUSet, Field, fields
from koordnri.model.convert import shares_to_weight
from koordnri.model.field import Adjust, FieldTableError, Spelling

PAGE = page_bytes()
V1_NO_LIMIT = str((2**63 - 1) // PAGE * PAGE)
IO = "8:0 rbps=1048576 wbps=max riops=max wiops=120\n8:16 rbps=max wbps=max riops=5 wiops=max\n"
ALL_MAX = "rbps=max wbps=max riops=max wiops=max"
NO_IOPS, NO_BPS = 2**32 - 1, 2**64 - 1
QOS = "8:0 enable=1 ctrl=user rpct=95.00 rlat=3000 wpct=95.00 wlat=3000 min=1.00 max=10000.00\n"
AUTO = "enable=0 ctrl=auto rpct=0.00 rlat=250000 wpct=0.00 wlat=250000 min=1.00 max=10000.00"
MODEL = "8:0 ctrl=user model=linear rbps=1000 rseqiops=2 rrandiops=3 wbps=4 wseqiops=5 wrandiops=6\n"


def the_form(field: Field, version: int) -> Form:
    found = form(field, version)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("field", "version", "key", "text", "value"),
    [
        (fields.CPU_QUOTA, 1, "", "-1\n", -1),
        (fields.CPU_QUOTA, 1, "", "50000\n", 50_000),
        (fields.CPU_QUOTA, 2, "", "max 100000\n", -1),
        (fields.CPU_QUOTA, 2, "", "50000 20000\n", 50_000),
        (fields.CPU_PERIOD, 1, "", "100000\n", 100_000),
        (fields.CPU_PERIOD, 2, "", "max 20000\n", 20_000),
        (fields.CPU_BURST, 1, "", "0\n", 0),
        (fields.CPU_BURST, 2, "", "7000\n", 7000),
        (fields.CPU_SHARES, 1, "", "1024\n", 1024),
        (fields.CPU_SHARES, 2, "", "1\n", 2),
        (fields.CPU_SHARES, 2, "", "39\n", 999),
        (fields.CPU_SHARES, 2, "", "10000\n", 262_144),
        (fields.CPU_CPUS, 1, "", "0-3,8\n", "0-3,8"),
        (fields.CPU_CPUS, 2, "", "\n", ""),
        (fields.CPU_MEMS, 1, "", "0\n", "0"),
        (fields.MEMORY_LIMIT, 1, "", V1_NO_LIMIT + "\n", -1),
        (fields.MEMORY_LIMIT, 1, "", "4096\n", 4096),
        (fields.MEMORY_LIMIT, 2, "", "max\n", -1),
        (fields.MEMORY_HIGH, 2, "", "8192\n", 8192),
        (fields.MEMORY_MIN, 2, "", "0\n", 0),
        (fields.MEMORY_LOW, 2, "", "max\n", -1),
        (fields.IO_MAX, 2, "8:0", IO, "rbps=1048576 wbps=max riops=max wiops=120"),
        (fields.IO_MAX, 2, "8:1", IO, ALL_MAX),
        (fields.IO_MAX, 2, "8:0", "\n", ALL_MAX),
        (fields.IO_WEIGHT, 2, "8:0", "default 100\n8:0 50\n", 50),
        (fields.IO_WEIGHT, 2, "8:16", "default 100\n8:0 50\n", "default"),
        (fields.IO_WEIGHT, 2, "", "default 100\n8:0 50\n", 100),
        (fields.IO_WEIGHT, 1, "8:0", "default 100\n8:0 50\n", 50),
        (fields.IO_WEIGHT, 1, "8:16", "default 100\n", "default"),
        (fields.IO_LATENCY, 2, "8:0", "8:0 target=2500\n", "target=2500"),
        (fields.IO_LATENCY, 2, "8:0", "\n", "target=0"),
        (fields.IO_READ_BPS, 1, "8:0", "8:16 7\n8:0 1048576\n", 1_048_576),
        (fields.IO_WRITE_IOPS, 1, "8:0", "8:16 7\n", 0),
        (fields.IO_COST_WEIGHT, 1, "8:0", "default 100\n8:0 20\n", 20),
        (fields.IO_COST_WEIGHT, 1, "8:16", "default 100\n8:0 20\n", 100),
        (fields.IO_COST_QOS, 2, "8:0", QOS, QOS[4:-1]),
        (fields.IO_COST_QOS, 1, "8:16", QOS, "enable=0"),
        (fields.IO_COST_MODEL, 2, "8:16", MODEL, "ctrl=auto"),
    ],
)
def test_a_kernels_text_is_read_as(field: Field, version: int, key: str, text: str, value: Any) -> None:
    assert the_form(field, version).parse(text, key) == value


@pytest.mark.parametrize(
    ("field", "version", "key", "value", "current", "text"),
    [
        (fields.CPU_QUOTA, 1, "", 50_000, "-1\n", "50000"),
        (fields.CPU_QUOTA, 1, "", 0, "5000\n", "-1"),
        pytest.param(fields.CPU_QUOTA, 2, "", 50_000, "max 20000\n", "50000 20000", id="quota-keeps-period"),
        (fields.CPU_QUOTA, 2, "", -1, "50000 20000\n", "max 20000"),
        pytest.param(fields.CPU_PERIOD, 2, "", 20_000, "max 100000\n", "max 20000", id="period-keeps-quota"),
        (fields.CPU_PERIOD, 2, "", 20_000, "5000 100000\n", "5000 20000"),
        (fields.CPU_PERIOD, 1, "", 20_000, "100000\n", "20000"),
        (fields.CPU_BURST, 1, "", 0, "5\n", "0"),
        (fields.CPU_SHARES, 1, "", 512, "1024\n", "512"),
        pytest.param(fields.CPU_SHARES, 2, "", 512, "59\n", "20", id="weight-by-the-linear-formula"),
        (fields.CPU_SHARES, 2, "", 0, "59\n", "1"),
        (fields.CPU_SHARES, 2, "", 10**6, "59\n", "10000"),
        (fields.CPU_CPUS, 1, "", "3,0,1,2", "0\n", "0-3"),
        pytest.param(fields.CPU_CPUS, 2, "", "", "0\n", "\n", id="an-empty-cpuset-is-a-newline"),
        (fields.MEMORY_LIMIT, 1, "", -1, "4096\n", "-1"),
        (fields.MEMORY_LIMIT, 2, "", -1, "4096\n", "max"),
        (fields.MEMORY_LIMIT, 2, "", 0, "4096\n", "max"),
        (fields.MEMORY_HIGH, 2, "", 5000, "max\n", "5000"),
        (fields.MEMORY_MIN, 2, "", 0, "4096\n", "0"),
        (fields.MEMORY_MIN, 2, "", -1, "4096\n", "max"),
        (fields.IO_MAX, 2, "8:0", "wiops=5 rbps=max", "", "8:0 rbps=max wiops=5"),
        (fields.IO_WEIGHT, 2, "8:0", 50, "default 100\n", "8:0 50"),
        (fields.IO_WEIGHT, 2, "8:0", "default", "default 100\n8:0 50\n", "8:0 default"),
        (fields.IO_WEIGHT, 2, "", 200, "default 100\n", "default 200"),
        (fields.IO_WEIGHT, 1, "8:0", "default", "default 100\n8:0 50\n", "8:0 default"),
        pytest.param(
            fields.IO_MAX,
            2,
            "8:0",
            f"riops={NO_IOPS} rbps={NO_BPS}",
            "",
            "8:0 rbps=max riops=max",
            id="all-ones-are-none",
        ),
        (fields.IO_MAX, 2, "8:0", f"riops={NO_IOPS - 1}", "", f"8:0 riops={NO_IOPS - 1}"),
        (fields.IO_LATENCY, 2, "8:0", "target=0", "8:0 target=9\n", "8:0 target=0"),
        (fields.IO_READ_BPS, 1, "8:0", 5, "", "8:0 5"),
        (fields.IO_READ_BPS, 1, "8:0", 2**32, "", "8:0 4294967296"),
        (fields.IO_READ_BPS, 1, "8:0", NO_BPS, "", "8:0 0"),
        pytest.param(fields.IO_READ_IOPS, 1, "8:0", 2**32, "", "8:0 0", id="v1-would-make-32-bits-of-it"),
        (fields.IO_WRITE_IOPS, 1, "8:0", NO_IOPS - 1, "", f"8:0 {NO_IOPS - 1}"),
        (fields.IO_COST_WEIGHT, 1, "8:0", 100, "8:0 20\n", "8:0 100"),
        (fields.IO_COST_QOS, 2, "8:0", "enable=1 ctrl=user rpct=95", "", "8:0 enable=1 ctrl=user rpct=95"),
        pytest.param(
            fields.IO_COST_QOS, 2, "8:0", AUTO, "", "8:0 enable=0 ctrl=auto", id="a-parameter-means-ctrl=user"
        ),
        (fields.IO_COST_MODEL, 1, "8:0", "ctrl=auto model=linear rbps=7", "", "8:0 ctrl=auto"),
    ],
)
def test_a_value_is_written_as(field: Field, version: int, key: str, value: Any, current: str, text: str) -> None:
    assert the_form(field, version).spell(value, key, current) == text


@pytest.mark.parametrize(
    ("field", "version", "wanted", "read", "same"),
    [
        (fields.CPU_QUOTA, 1, 0, -1, True),
        (fields.CPU_QUOTA, 2, 50_000, 50_000, True),
        (fields.CPU_QUOTA, 2, 50_000, -1, False),
        (fields.CPU_SHARES, 1, 1, 2, True),
        (fields.CPU_SHARES, 1, 10**6, 262_144, True),
        (fields.CPU_SHARES, 1, 1024, 1025, False),
        (fields.CPU_CPUS, 2, "0,1,2,3", "0-3", True),
        (fields.CPU_CPUS, 2, "0-3", "", False),
        (fields.MEMORY_LIMIT, 1, PAGE + 1, PAGE, True),
        (fields.MEMORY_LIMIT, 1, 2 * PAGE - 1, PAGE, True),
        (fields.MEMORY_LIMIT, 1, PAGE - 1, 0, True),
        (fields.MEMORY_LIMIT, 1, 2 * PAGE, PAGE, False),
        (fields.MEMORY_LIMIT, 1, 2**63 - 1, -1, True),
        (fields.MEMORY_LIMIT, 2, 0, -1, True),
        (fields.MEMORY_LIMIT, 2, -1, 0, False),
        (fields.MEMORY_HIGH, 2, -1, 10 * PAGE, False),
        (fields.MEMORY_MIN, 2, 0, -1, False),
        (fields.MEMORY_MIN, 2, PAGE + 5, PAGE, True),
        (fields.IO_MAX, 2, "wiops=120 rbps=1048576", "rbps=1048576 wbps=max riops=max wiops=120", True),
        (fields.IO_MAX, 2, "wbps=max", ALL_MAX, True),
        (fields.IO_MAX, 2, "wbps=5", ALL_MAX, False),
        (fields.IO_WEIGHT, 2, "default", "default", True),
        (fields.IO_WEIGHT, 2, 100, "default", False),
        (fields.IO_MAX, 2, f"riops={NO_IOPS + 5}", ALL_MAX, True),
        (fields.IO_READ_IOPS, 1, 2**40, 0, True),
        (fields.IO_READ_IOPS, 1, NO_IOPS - 1, 0, False),
        (fields.IO_READ_BPS, 1, 2**40, 2**40, True),
        (fields.IO_COST_QOS, 2, "enable=1 ctrl=user rpct=95 rlat=3000", QOS[4:], True),
        (fields.IO_COST_QOS, 2, "enable=1 ctrl=user rpct=90 rlat=3000", QOS[4:], False),
        (fields.IO_COST_QOS, 2, "enable=0", AUTO, True),
        (fields.IO_COST_QOS, 2, AUTO, AUTO.replace("250000", "5000"), True),
        (fields.IO_COST_QOS, 2, AUTO, QOS[4:], False),
        (fields.IO_COST_MODEL, 2, "ctrl=user rbps=1000", MODEL[4:], True),
        (fields.IO_COST_MODEL, 2, "ctrl=auto", MODEL[4:], False),
    ],
)
def test_what_reads_back_is_the_same_or_not(field: Field, version: int, wanted: Any, read: Any, same: bool) -> None:
    assert the_form(field, version).same(wanted, read) is same


@pytest.mark.parametrize(
    ("field", "version", "text"),
    [
        (fields.CPU_QUOTA, 1, ""),
        (fields.CPU_QUOTA, 1, "max"),
        (fields.CPU_QUOTA, 2, "1_0 100000"),
        (fields.CPU_PERIOD, 2, "max"),
        (fields.CPU_SHARES, 2, "10001"),
        (fields.MEMORY_LIMIT, 2, "lots"),
        (fields.IO_WEIGHT, 2, "8:0 many"),
    ],
)
def test_a_text_that_no_kernel_writes_is_an_error(field: Field, version: int, text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        the_form(field, version).parse(text, "8:0")


@pytest.mark.parametrize(
    ("field", "key", "value"),
    [
        (fields.CPU_QUOTA, "", "50000"),
        (fields.CPU_QUOTA, "", None),
        (fields.CPU_QUOTA, "", True),
        (fields.CPU_PERIOD, "", -1),
        (fields.CPU_BURST, "", -1),
        (fields.CPU_SHARES, "", 1.5),
        (fields.CPU_CPUS, "", "3-1"),
        (fields.CPU_CPUS, "", None),
        (fields.MEMORY_LIMIT, "", "1Gi"),
        (fields.IO_MAX, "/dev/sda", ALL_MAX),
        (fields.IO_MAX, "8:0", ""),
        (fields.IO_MAX, "8:0", "rbps=0"),
        (fields.IO_MAX, "8:0", "reads=5"),
        (fields.IO_MAX, "", ALL_MAX),
        (fields.IO_WEIGHT, "sda", 5),
        (fields.IO_WEIGHT, "8:0", "some"),
        (fields.IO_LATENCY, "8:0", "2500"),
        (fields.IO_LATENCY, "8:0", "target=soon"),
        (fields.IO_LATENCY, "/dev/sda", "target=5"),
        (fields.IO_COST_QOS, "8:0", ""),
        (fields.IO_COST_QOS, "8:0", "enable"),
        (fields.IO_COST_MODEL, "sda", "ctrl=auto"),
    ],
)
def test_a_value_that_no_kernel_takes_is_an_error(field: Field, key: str, value: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        the_form(field, 2).spell(value, key, "max 100000")


@pytest.mark.parametrize(("key", "value"), [("8:0", -1), ("8:0", "5"), ("8:0", True), ("8:0", None), ("/dev/sda", 5)])
@pytest.mark.parametrize("field", [fields.IO_READ_BPS, fields.IO_WRITE_IOPS, fields.IO_COST_WEIGHT])
def test_v1_takes_no_other_limit_of_a_disk_than_a_number(field: Field, key: str, value: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        the_form(field, 1).spell(value, key, "")


@pytest.mark.parametrize(
    ("field", "version"),
    [
        (fields.ENV, 2),
        (fields.RDT_CLOSID, 2),
        (fields.PIDS_LIMIT, 1),
        (fields.IO_MAX, 1),
        (fields.BLOCKIO_CLASS, 2),
    ],
)
def test_what_is_no_cgroup_file_has_no_form(field: Field, version: int) -> None:
    assert form(field, version) is None


def test_every_cgroup_file_of_the_model_has_a_form() -> None:
    assert [f.name for f in fields.ALL if f.v2 and form(f, 2) is None] == []
    assert [f.name for f in fields.ALL if f.v1 and form(f, 1) is None] == []


@given(st.integers(1, 10_000))
def test_shares_read_of_a_weight_have_that_weight(weight: int) -> None:
    spelled = the_form(fields.CPU_SHARES, 2)
    shares = spelled.parse(str(weight), "")
    assert shares_to_weight(shares) == weight
    assert weight == 1 or shares_to_weight(shares - 1) == weight - 1
    assert spelled.spell(shares, "", "") == str(weight)


NUMBERS = st.integers(1, 2**63 - 1)
VALUES = st.one_of(
    st.tuples(st.just(fields.CPU_QUOTA), NUMBERS | st.just(-1)),
    st.tuples(st.just(fields.CPU_PERIOD), st.integers(1_000, 1_000_000)),
    st.tuples(st.just(fields.CPU_BURST), NUMBERS),
    st.tuples(st.just(fields.CPU_SHARES), st.integers(0, 300_000)),
    st.tuples(st.just(fields.CPU_CPUS), st.sets(st.integers(0, 200)).map(lambda cpus: str(CPUSet(cpus)))),
    st.tuples(st.sampled_from([fields.MEMORY_LIMIT, fields.MEMORY_HIGH, fields.MEMORY_LOW]), NUMBERS | st.just(-1)),
)


@given(VALUES, st.sampled_from([1, 2]), st.sampled_from(["max 100000\n", "2000 50000\n"]))
def test_what_was_written_reads_back_as_the_same(value: tuple[Field, Any], version: int, current: str) -> None:
    field, wanted = value
    spelled = the_form(field, version)
    text = spelled.spell(wanted, "", current)
    assert spelled.same(wanted, spelled.parse(text + "\n", ""))
    if field in (fields.CPU_QUOTA, fields.CPU_PERIOD) and version == 2:
        other = fields.CPU_PERIOD if field is fields.CPU_QUOTA else fields.CPU_QUOTA
        keep = the_form(other, 2)
        assert keep.parse(text, "") == keep.parse(current, "")


def test_an_idle_cgroup_on_v2_has_no_weight() -> None:
    spelled = form(fields.CPU_SHARES, 2)
    assert spelled is not None
    idle = spelled.parse("0\n", "")
    assert not any(spelled.same(shares, idle) for shares in (2, 3, 1024, 262_144))


FILES = [(f, version) for f in fields.ALL for version in (1, 2) if form(f, version) is not None]


@pytest.mark.parametrize(("field", "version"), FILES, ids=lambda v: getattr(v, "name", f"v{v}"))
def test_the_neutral_value_of_every_file_can_be_written_and_reads_back(field: Field, version: int) -> None:
    """What cannot be given back must not be set."""
    spelled, key = the_form(field, version), "8:0" if field.keyed else ""
    text = spelled.spell(field.neutral, key, "50000 100000\n")
    # The kernel takes a disk off the list that is set to its neutral value.
    assert spelled.same(field.neutral, spelled.parse("\n" if field.of_disk else f"{text}\n", key))


@pytest.mark.parametrize(
    ("spelling", "neutral"),
    [
        (Spelling.NUMBER, "none"),
        (Spelling.NUMBER, -1),
        (Spelling.LIMIT, "max"),
        (Spelling.CPUSET, "all"),
        (Spelling.DISK_LIMITS, 0),
        (Spelling.DISK_WORDS, "off"),
    ],
)
def test_a_row_whose_neutral_value_its_file_does_not_take_is_named(spelling: Spelling, neutral: Any) -> None:
    row = Field("x", "unit", Adjust.FILE, keyed="disk" in spelling.value, v2=("x",), spelling=spelling, neutral=neutral)
    with pytest.raises(FieldTableError, match=rf"^field x: neutral={neutral!r} is no value of {spelling}: .*expected"):
        check_neutral(row)


def test_a_switch_is_one_word_of_many() -> None:
    spelled = the_form(fields.SCHED_FEATURE, 2)
    text = "PLACE_LAG NO_NEXT_BUDDY HRTICK \n"
    assert [spelled.parse(text, name) for name in ("PLACE_LAG", "NEXT_BUDDY", "HRTICK")] == [1, 0, 1]
    assert [spelled.spell(on, "HRTICK", text) for on in (1, 0)] == ["HRTICK", "NO_HRTICK"]
    with pytest.raises(ValueError, match="expected BUDDY or NO_BUDDY in the file, got neither"):
        spelled.parse(text, "BUDDY")
