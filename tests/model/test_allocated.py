"""Exclusive CPUs as a value, and as the text that annotations and the state directory carry."""

from __future__ import annotations

import pytest

from koordnri.model.allocated import NOT_ALLOCATED, Allocated
from koordnri.model.cpuset import NO_CPUS, CPUSet
from koordnri.model.resources import Note, Resources, decode_note, encode_note
from koordnri.state.files import NOTES, StateFile

SOME = Allocated(CPUSet([2, 3]), "PCPULevel")


@pytest.mark.parametrize(
    ("allocated", "text"),
    [
        (SOME, "2-3 PCPULevel"),
        (Allocated(CPUSet([0, 8])), "0,8"),
        (Allocated(CPUSet([5]), "NUMANodeLevel"), "5 NUMANodeLevel"),
        (NOT_ALLOCATED, ""),
    ],
)
def test_a_text_reads_back_as_what_it_was_made_of(allocated, text):
    assert str(allocated) == text
    assert Allocated.parse(text) == allocated


@pytest.mark.parametrize("text", ["", " ", "x", "2-", "5 Whatever", " PCPULevel", "2 3"])
def test_a_text_of_anothers_making_allocates_nothing(text):
    assert Allocated.parse(text) is NOT_ALLOCATED


def test_no_cpus_are_no_allocation_and_the_wish_is_a_part_of_it():
    assert not Allocated(NO_CPUS)
    assert SOME
    assert Allocated(CPUSet([2, 3])) != SOME
    assert len({SOME, Allocated(CPUSet([2, 3]), "PCPULevel")}) == 1


OLDER = '{"asked":{"shares":2048},"set":{"cpu.cpus":"2-3"},"own":"2-3 PCPULevel"}'
"""as the annotation has been written since exclusive CPUs exist"""
NOTE = Note(Resources(cpu_shares=2048), {"cpu.cpus": "2-3"}, SOME)


def test_an_annotation_says_the_same_as_an_older_daemons():
    assert decode_note(OLDER) == NOTE
    assert encode_note(NOTE) == OLDER


@pytest.mark.parametrize("own", ['"nonsense"', '""', "7", '["2-3"]'])
def test_an_annotation_with_no_usable_cpus_is_read_but_for_them(own):
    assert decode_note('{"asked":{"shares":2048},"own":' + own + "}") == Note(Resources(cpu_shares=2048))


def test_cpus_that_were_given_back_are_not_in_the_annotation():
    assert encode_note(NOTE.with_allocated(Allocated(NO_CPUS))) == '{"asked":{"shares":2048},"set":{"cpu.cpus":"2-3"}}'


def test_the_state_directory_of_an_older_daemon_is_read_and_written_alike(tmp_path):
    text = '{"c1":' + OLDER + "}"
    (tmp_path / NOTES).write_text(text)
    file = StateFile(tmp_path)
    assert file.load() == ({"c1": NOTE}, "")
    file.save({"c1": NOTE})
    assert (tmp_path / NOTES).read_text() == text
