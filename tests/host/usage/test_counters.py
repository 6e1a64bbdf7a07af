"""Files of counters: what is parsed of them, and that an open one survives its cgroup."""

from __future__ import annotations

import os
import resource

import pytest

from koordnri.host.usage.counters import CounterFile, average_10s, disk_bytes, first_number, number_after

STAT = b"usage_usec 12\nnr_periods 3\nnr_throttled 2\nthrottled_usec 700\n"


@pytest.mark.parametrize(
    ("data", "key", "expected"),
    [
        (STAT, b"usage_usec", 12),
        (STAT, b"nr_throttled", 2),
        (STAT, b"throttled_usec", 700),
        (STAT, b"usec", None),
        (STAT, b"throttled", None),
        (b"high max\n", b"high", None),
        (b"low 0\nhigh 7", b"high", 7),
        (b"", b"high", None),
    ],
)
def test_a_number_is_found_by_its_whole_key(data, key, expected):
    assert number_after(data, key) == expected


def test_a_file_of_one_number():
    assert first_number(b"4096\n") == 4096
    assert first_number(b"max\n") is first_number(b"") is None


def test_pressure_is_the_average_of_some_tasks():
    assert average_10s(b"some avg10=1.50 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.10\n") == 1.5
    assert average_10s(b"") is average_10s(b"some avg10=x") is None


def test_bytes_of_all_disks_are_added_up_on_both_versions():
    assert disk_bytes(b"8:0 rbytes=1 wbytes=2 rios=9 wios=9\n8:16 rbytes=10 wbytes=x\n") == (11, 2)
    assert disk_bytes(b"8:0 Read 1\n8:0 Write 2\n8:0 Total 3\n8:16 Read 10\nTotal 13\n") == (11, 2)


@pytest.mark.parametrize("keep_open", [True, False])
def test_each_reading_is_a_fresh_one(tmp_path, keep_open):
    path = tmp_path / "cpu.stat"
    path.write_bytes(b"1")
    file = CounterFile(str(path), keep_open=keep_open)
    assert file.read() == b"1"
    path.write_bytes(b"22")
    assert file.read() == b"22"
    file.close()
    assert file.read() == b"22", "opened again"
    file.close()
    file.close()


def test_descriptors_are_given_back(tmp_path):
    (tmp_path / "x").write_bytes(b"1")
    before = len(os.listdir("/proc/self/fd"))
    files = [CounterFile(str(tmp_path / "x")) for _ in range(3)]
    assert {file.read() for file in files} == {b"1"}
    assert len(os.listdir("/proc/self/fd")) == before + 3
    for file in files:
        file.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_that_this_kernel_lacks_is_tried_once_and_one_of_a_cgroup_that_is_not_there_again(tmp_path):
    lacking, later = CounterFile(str(tmp_path / "cpu.pressure")), CounterFile(str(tmp_path / "c" / "cpu.stat"))
    assert lacking.read() == later.read() == b""
    (tmp_path / "cpu.pressure").write_bytes(b"1")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "cpu.stat").write_bytes(b"2")
    assert lacking.read() == b""
    assert later.read() == b"2"


def test_a_file_that_could_not_be_opened_for_want_of_descriptors_is_tried_again(tmp_path):
    (tmp_path / "cpu.stat").write_bytes(b"1")
    file = CounterFile(str(tmp_path / "cpu.stat"))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        assert file.read() == b""
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert file.read() == b"1"
    file.close()
