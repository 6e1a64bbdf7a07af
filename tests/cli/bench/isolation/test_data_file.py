"""Files for the programs."""

from pathlib import Path

import pytest

from koordnri.cli.bench.figures import BenchError
from koordnri.cli.bench.isolation import data_file


def test_a_file_has_its_size_on_the_disk(tmp_path: Path) -> None:
    data_file.write(tmp_path / "a.data", 2 << 20)
    data_file.forget(tmp_path / "a.data")
    assert (tmp_path / "a.data").stat().st_size == 2 << 20


def test_a_disk_without_room_is_an_error_that_names_the_file() -> None:
    with pytest.raises(BenchError, match="/dev/full: No space left on device; the bench needs 1 MiB there"):
        data_file.write(Path("/dev/full"), 1 << 20)


def test_a_file_system_without_a_disk_has_none() -> None:
    assert data_file.disk_of(Path("/proc")) is None
