"""Baselines: how they move, and the note by which they travel in a container's annotation."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koordnri.model import Resources
from koordnri.model.resources import NOTHING, Note, decode_note, encode_note

FULL = Resources(512, 50_000, 100_000, "0-3", "0", 1 << 30, {"memory.min": "5"})


@pytest.mark.parametrize(
    ("asked", "moved"),
    [
        (Resources(cpu_quota=-1), Resources(512, -1, 100_000, "0-3", "0", 1 << 30, {"memory.min": "5"})),
        (Resources(cpus="4"), Resources(512, 50_000, 100_000, "4", "0", 1 << 30, {"memory.min": "5"})),
        (Resources(memory_limit=7), Resources(512, 50_000, 100_000, "0-3", "0", 7, {"memory.min": "5"})),
        (
            Resources(unified={"memory.high": "9"}),
            Resources(512, 50_000, 100_000, "0-3", "0", 1 << 30, {"memory.min": "5", "memory.high": "9"}),
        ),
    ],
)
def test_what_is_asked_moves_and_the_rest_stays(asked, moved):
    assert FULL.moved_by(asked) == moved


@pytest.mark.parametrize("asked", [NOTHING, FULL, Resources(512), Resources(unified={"memory.min": "5"})])
def test_nothing_moved_is_the_same_object(asked):
    assert FULL.moved_by(asked) is FULL


def test_moving_does_not_change_the_old_baseline():
    FULL.moved_by(Resources(unified={"memory.min": "6"}))
    assert FULL.unified == {"memory.min": "5"}


def test_the_annotation_is_short():
    asked = Resources(512, 80_000, 100_000)
    assert encode_note(Note(asked)) == '{"asked":{"shares":512,"quota":80000,"period":100000}}'
    assert encode_note(Note(NOTHING)) == '{"asked":{}}'
    sent: dict[str, int | str] = {"cpu.quota": 40_000, "io.max[/dev/sda]": "rbps=5"}
    assert encode_note(Note(Resources(cpu_quota=80_000), sent)) == (
        '{"asked":{"quota":80000},"set":{"cpu.quota":40000,"io.max[/dev/sda]":"rbps=5"}}'
    )


number = st.none() | st.integers(-1, 2**63 - 1)
resources = st.builds(
    Resources,
    number,
    number,
    number,
    st.text(max_size=9),
    st.text(max_size=9),
    number,
    st.none() | st.dictionaries(st.text(min_size=1, max_size=9), st.text(max_size=9), max_size=3),
)


sent_values = st.dictionaries(st.text(max_size=9), st.integers() | st.text(max_size=9), max_size=3)


@given(resources, sent_values)
def test_a_note_survives_the_annotation(baseline, sent):
    assert decode_note(encode_note(Note(baseline, sent))) == Note(baseline, sent)


def test_what_is_sent_replaces_what_was_sent_of_the_same_field_only():
    first = Note(NOTHING, {"cpu.quota": 1, "cpu.cpus": "2"})
    then = first.followed_by(FULL, {"cpu.quota": 7})
    assert then == Note(FULL, {"cpu.quota": 7, "cpu.cpus": "2"}, maybe={"cpu.quota": [1]})
    assert first == Note(NOTHING, {"cpu.quota": 1, "cpu.cpus": "2"}), "and the old note stays what it was"


def test_what_was_sent_before_may_still_be_stored_until_the_runtime_shows_what_is():
    """A reply may be lost, and a runtime that is killed may come back with an older value: that is ours, and not kubelet's."""
    note = Note(NOTHING, {"cpu.quota": 1})
    for value in (2, 3, 2, 4, 5, 6, 7):
        note = note.followed_by(NOTHING, {"cpu.quota": value})
    assert (note.set, note.maybe) == ({"cpu.quota": 7}, {"cpu.quota": [6, 5, 4, 2]}), "the last few, each once"
    assert [o["cpu.quota"] for o in note.ours] == [7, 6, 5, 4, 2]
    on_its_way = note.sending({"cpu.quota": 9, "cpu.shares": 8})
    assert {o.get("cpu.quota") for o in on_its_way.ours} == {7, 9, 6, 5, 4, 2}
    assert 8 in [o.get("cpu.shares") for o in on_its_way.ours]
    assert on_its_way.seen({"cpu.quota": 9, "memory.limit": 5}) == Note(NOTHING, {"cpu.quota": 9})
    assert on_its_way.followed_by(NOTHING, {"cpu.quota": 9}).maybe["cpu.quota"] == [7, 6, 5, 4]


def test_sending_the_same_again_leaves_the_note_as_it_is():
    note = Note(NOTHING, {"cpu.quota": 1}, "2-3")
    assert note.followed_by(NOTHING, {"cpu.quota": 1}) == note


def test_notes_share_nothing():
    assert Note(NOTHING).set is not Note(NOTHING).set


@given(resources, resources)
def test_asking_the_same_again_moves_nothing(baseline, asked):
    moved = baseline.moved_by(asked)
    assert moved.moved_by(asked) is moved


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "null",
        '{"asked":null}',
        '{"asked":{"shares":"many"}}',
        '{"asked":{"unified":{"a":1}}}',
        '{"asked":{},"set":[]}',
        '{"asked":{},"set":null}',
        '{"asked":{},"set":{"cpu.quota":1.5}}',
        '{"asked":{},"set":{"cpu.quota":true}}',
        '{"asked":{},"set":{"cpu.quota":{}}}',
    ],
)
def test_a_text_that_is_not_ours_is_refused(text):
    with pytest.raises(msgspec.DecodeError):
        decode_note(text)
