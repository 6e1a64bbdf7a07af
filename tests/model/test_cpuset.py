"""CPUSet against Python's own sets, and the kernel's list format."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.model import CPUSet
from koordnri.model.cpuset import MAX_CPU

numbers = st.frozensets(st.integers(0, 300), max_size=60)


@pytest.mark.parametrize(
    ("text", "cpus", "canonical"),
    [
        ("", (), ""),
        ("  ", (), ""),
        ("0", (0,), "0"),
        ("0-3", (0, 1, 2, 3), "0-3"),
        ("0,1,2,3", (0, 1, 2, 3), "0-3"),
        ("8,0-1", (0, 1, 8), "0-1,8"),
        ("3-3", (3,), "3"),
        ("0-2,1-4", (0, 1, 2, 3, 4), "0-4"),
        (" 0 , 2 ", (0, 2), "0,2"),
        ("007", (7,), "7"),
        (str(MAX_CPU), (MAX_CPU,), str(MAX_CPU)),
    ],
)
def test_the_kernels_list_format_is_read_and_written_in_one_form(text, cpus, canonical):
    parsed = CPUSet.parse(text)
    assert tuple(parsed) == cpus
    assert str(parsed) == canonical


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("x", '"x" at position 0'),
        ("0-3,x", '"x" at position 4'),
        ("0-3,", '"" at position 4'),
        ("0,0,0,x,x", '"x" at position 6'),
        (",", '"" at position 0'),
        ("0--3", '"-3" at position 0'),
        ("-1", '"" at position 0'),
        ("1-", '"" at position 0'),
        ("4-2", '"4-2" at position 0'),
        ("0 3", '"0 3" at position 0'),
        ("1,8192", '"8192" at position 2'),
        ("0-4000000000", '"4000000000" at position 0'),
        ("0-3:1/2", '"3:1/2" at position 0'),
        ("1.5", '"1.5" at position 0'),
        ("+1", '"+1" at position 0'),
        ("٣", '"٣" at position 0'),
        ("all", '"all" at position 0'),
    ],
)
def test_what_is_no_list_of_cpus_is_refused_with_its_place(text, place):
    with pytest.raises(ValueError, match="expected") as caught:
        CPUSet.parse(text)
    assert place in str(caught.value)


def test_long_texts_are_read_up_to_what_a_kernel_could_write():
    every_other = ",".join(str(cpu) for cpu in range(0, MAX_CPU, 2))
    assert str(CPUSet.parse(every_other)) == every_other
    with pytest.raises(ValueError, match="expected at most 65536 characters, got 65538"):
        CPUSet.parse("1," * 32_769)


@pytest.mark.parametrize("cpu", [-1, MAX_CPU + 1])
def test_numbers_out_of_range_are_refused(cpu):
    with pytest.raises(ValueError, match=rf"expected CPU numbers 0\.\.{MAX_CPU}, got {cpu}"):
        CPUSet([cpu])


@given(numbers)
def test_text_and_back(cpus):
    assert CPUSet.parse(str(CPUSet(cpus))) == CPUSet(cpus)
    assert CPUSet.parse(",".join(map(str, cpus))) == CPUSet(cpus)


@given(numbers)
def test_the_canonical_text_has_the_fewest_parts(cpus):
    starts = sum(1 for c in cpus if c - 1 not in cpus)
    assert len(str(CPUSet(cpus)).split(",")) == max(starts, 1)


@given(numbers, numbers)
def test_it_computes_as_sets_do(a, b):
    x, y = CPUSet(a), CPUSet(b)
    assert set(x | y) == a | b
    assert set(x & y) == a & b
    assert set(x - y) == a - b
    assert (x <= y) == (a <= b)
    assert (x == y) == (a == b)
    assert list(x) == sorted(a)
    assert len(x) == len(a)
    assert bool(x) == bool(a)
    assert (hash(x) == hash(y)) or a != b


@given(numbers, st.integers(-5, 400))
def test_membership(cpus, cpu):
    assert (cpu in CPUSet(cpus)) == (cpu in cpus)


@given(st.text(alphabet="0123456789,- x", max_size=20))
def test_any_text_is_read_or_refused_by_ValueError(text):
    try:
        cpus = CPUSet.parse(text)
    except ValueError:
        return
    assert CPUSet.parse(str(cpus)) == cpus


def test_it_is_no_plain_set_nor_text():
    assert CPUSet([1]) != {1}
    assert CPUSet([1]) != "1"
    assert repr(CPUSet([0, 1])) == "CPUSet('0-1')"
