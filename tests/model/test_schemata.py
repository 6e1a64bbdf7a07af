"""Lines of schemata: koordlet's formulas by their vectors, and what the kernel would refuse of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.model.schemata import (
    AMD_UNITS,
    MBPS,
    MBPS_FULL,
    Cache,
    GroupWish,
    MemoryBandwidth,
    bandwidth_value,
    cache_mask,
    full,
    line,
    parse,
    schemata,
)

INTEL = MemoryBandwidth((0, 1))
AMD = MemoryBandwidth((0, 1), AMD_UNITS, 1, 1, 2048)
IN_MBPS = MemoryBandwidth((0, 1), MBPS, 1, 1, MBPS_FULL)
L3 = Cache("L3", 0x7FF, (0, 8))


@pytest.mark.parametrize(
    ("cbm", "start", "end", "mask"),
    [
        pytest.param(0xFF, 0, 100, 0xFF, id="v34-1"),
        pytest.param(0x3FF, 10, 80, 0xFE, id="v34-2"),
        pytest.param(0x7FF, 10, 50, 0x3C, id="v34-3"),
        (0xFFFFF, 0, 30, 0x3F),
        (0x7FF, 50, 100, 0x7C0),
        (1, 0, 100, 1),
    ],
)
def test_ways_of_a_percent_range(cbm, start, end, mask):
    assert cache_mask(cbm, start, end) == (mask, False)


@pytest.mark.parametrize(
    ("cbm", "start", "end"),
    [
        pytest.param(0x101, 0, 100, id="v35-gap"),
        pytest.param(4, 0, 100, id="v35-not-from-bit-0"),
        pytest.param(0xFF, 50, 50, id="v35-empty"),
        pytest.param(0xFF, -10, 50, id="v35-negative"),
        pytest.param(0xFF, 0, 110, id="v35-above-100"),
        (0, 0, 100),
        (0xFF, 80, 20),
    ],
)
def test_a_range_or_mask_that_is_none_is_an_error(cbm, start, end):
    with pytest.raises(ValueError, match="expected"):
        cache_mask(cbm, start, end)


@pytest.mark.parametrize(
    ("start", "end", "min_bits", "mask"),
    [(0, 1, 2, 0b11), (98, 100, 2, 0b1100_0000_000), (50, 51, 1, 0b1000000), (99, 100, 1, 0b1000_0000_000), (0, 1, 99, 0x7FF)],
)  # fmt: skip
def test_a_range_narrower_than_the_kernel_takes_is_widened(start, end, min_bits, mask):
    assert cache_mask(0x7FF, start, end, min_bits) == (mask, True)


@given(
    ways=st.integers(1, 32),
    percents=st.tuples(st.integers(0, 99), st.integers(1, 100)).filter(lambda r: r[0] < r[1]),
    min_bits=st.integers(1, 4),
)
def test_every_mask_is_one_the_kernel_takes(ways, percents, min_bits):
    cbm = (1 << ways) - 1
    bits = cache_mask(cbm, *percents, min_bits).bits
    assert bits
    assert bits & ~cbm == 0
    low = bits & -bits
    assert (bits + low) & bits == 0, "the ones are not contiguous"
    assert bits.bit_count() >= min(min_bits, ways)


@pytest.mark.parametrize(
    ("percent", "value"),
    [
        pytest.param(85, 90, id="v36-rounded-up"),
        pytest.param(80, 80, id="v36"),
        pytest.param(90, 90, id="v36"),
        pytest.param(0, None, id="v36-zero"),
        pytest.param(101, None, id="v36-above-100"),
        pytest.param(None, None, id="v36-nil"),
        (1, 10),
        (100, 100),
        (-5, None),
    ],
)
def test_bandwidth_of_intel(percent, value):
    assert bandwidth_value(INTEL, percent) == value


def test_the_line_of_bandwidth():
    value = bandwidth_value(INTEL, 85)
    assert value is not None
    assert line("MB", dict.fromkeys(INTEL.ids, value)) == "MB:0=90;1=90;\n", "v36"


@pytest.mark.parametrize(
    ("bandwidth", "percent", "mbps", "value"),
    [
        (MemoryBandwidth((0,), gran=20, least=20), 30, None, 40),
        (MemoryBandwidth((0,), gran=30, least=30), 95, None, 100),
        (AMD, 100, None, 2048),
        (AMD, 80, None, 128),
        (AMD, 85, None, 136),
        (AMD, 33, None, 52),
        (AMD, 0, None, None),
        (AMD, 50, 40_000, 160),
        (IN_MBPS, 50, None, None),
        (IN_MBPS, 50, 40_000, 20_000),
        (IN_MBPS, 100, None, MBPS_FULL),
        (IN_MBPS, 1, 50, 1),
    ],
)
def test_bandwidth_in_other_units(bandwidth, percent, mbps, value):
    assert bandwidth_value(bandwidth, percent, mbps) == value


def lines_of(wish, caches=(L3,), bandwidth=INTEL, mbps=None):
    return schemata(wish, caches, bandwidth, mbps)


def test_nothing_wished_is_all_of_it():
    assert lines_of(GroupWish()) == (full((L3,), INTEL), ())
    assert lines_of(GroupWish()).lines == {"L3": {0: 0x7FF, 8: 0x7FF}, "MB": {0: 100, 1: 100}}


def test_a_line_names_every_cache_whatever_its_id():
    found = lines_of(GroupWish(llc=(0, 50), mb=35)).lines
    assert line("L3", found["L3"]) == "L3:0=3f;8=3f;\n"
    assert line("MB", found["MB"]) == "MB:0=40;1=40;\n"


def test_one_cache_may_be_wished_otherwise_and_one_that_is_not_named_is_whole():
    wish = GroupWish(llc_at={8: (0, 50)}, mb=20, mb_at={1: 50})
    assert lines_of(wish).lines == {"L3": {0: 0x7FF, 8: 0x3F}, "MB": {0: 20, 1: 50}}


def test_code_and_data_have_the_same_ways():
    both = (Cache("L3CODE", 0xFF, (0,)), Cache("L3DATA", 0xFF, (0,)))
    assert lines_of(GroupWish(llc=(0, 50)), both, None).lines == {"L3CODE": {0: 0xF}, "L3DATA": {0: 0xF}}


def test_l2_is_wished_apart_unless_it_is_the_last_level():
    l2 = Cache("L2", 0xFF, (0, 1))
    assert lines_of(GroupWish(llc=(0, 50)), (L3, l2), None).lines["L2"] == {0: 0xFF, 1: 0xFF}
    assert lines_of(GroupWish(l2=(0, 50)), (L3, l2), None).lines == {"L3": {0: 0x7FF, 8: 0x7FF}, "L2": {0: 0xF, 1: 0xF}}
    assert lines_of(GroupWish(llc=(0, 50)), (l2,), None).lines["L2"] == {0: 0xF, 1: 0xF}
    assert lines_of(GroupWish(llc=(0, 50), l2=(0, 25)), (l2,), None).lines["L2"] == {0: 3, 1: 3}


@pytest.mark.parametrize(
    ("wish", "caches", "bandwidth", "message"),
    [
        (GroupWish(llc=(0, 1)), (Cache("L3", 0xFF, (0, 1), 2),), None, "widened to mask 3"),
        (GroupWish(llc=(0, 50)), (Cache("L3", 0x101, (0,)),), None, "L3 stays whole: expected a cache mask of ones only, got 101"),
        (GroupWish(llc=(0, 50)), (), INTEL, "no cache of this node can be divided"),
        (GroupWish(mb=50), (L3,), None, "this node cannot limit memory bandwidth"),
        (GroupWish(mb=50), (), IN_MBPS, "50 % stays unlimited, for resctrl is mounted with mba_MBps"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_as_wished_is_reported_once(wish, caches, bandwidth, message):
    (note,) = schemata(wish, caches, bandwidth).notes
    assert message in note


def test_what_the_kernel_shows_reads_as_it_is_written():
    assert parse("    MB:0=100;1= 50\n    L3:0=7ff;8=00f\n") == {"MB": {0: 100, 1: 50}, "L3": {0: 0x7FF, 8: 0xF}}
    assert parse("") == {}
    assert parse("L3:0=zz;x=1;1=f\nnonsense\n") == {"L3": {1: 0xF}}


def test_what_no_kernel_shows_is_left_out():
    assert parse(f"L3:0={'f' * 21};1=ff;2;x=1;3=\nMB:0=ten;1=é;2={'9' * 5000};3=70\nnothing\n") == {
        "L3": {1: 0xFF},
        "MB": {3: 70},
    }


@given(st.dictionaries(st.integers(0, 300), st.integers(1, 2**20), min_size=1), st.sampled_from(["L3", "L2CODE", "MB"]))
def test_a_line_is_read_back(values, resource):
    assert parse(line(resource, values)) == {resource: values}
