"""conf.json as administrators have it."""

from pathlib import Path

import pytest

from koordnri.v010.configuration import Configuration, ConfigurationError, read


def test_without_a_file_nothing_is_called(tmp_path: Path) -> None:
    assert read(tmp_path / "conf.json") == Configuration()


def test_programs_keep_their_order_and_their_configuration_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "conf.json"
    path.write_text('{"version":"0.1","plugins":[{"type":"b","conf":{"x": [1]}},{"type":"a"}],"other":1}')
    found = read(path)
    assert [program.type for program in found.plugins] == ["b", "a"]
    assert [bytes(program.conf) for program in found.plugins] == [b'{"x": [1]}', b""]


def test_null_is_no_program_as_go_writes_and_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "conf.json"
    path.write_text('{"version":"0.1","plugins":null}')
    assert read(path) == Configuration()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[]", "expected"),
        ("{", "expected"),
        ('{"plugins":[{"type":"../sh"}]}', 'plugin type "../sh"'),
        ('{"plugins":[{"type":""}]}', 'plugin type ""'),
        ('{"plugins":' * 2000, "expected"),
        ("x" * ((1 << 20) + 1), "at most"),
    ],
    ids=["list", "cut", "path", "empty", "deep", "large"],
)
def test_a_file_that_cannot_be_used_is_named_with_what_was_expected(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "conf.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=named) as raised:
        read(path)
    assert str(path) in str(raised.value)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read(tmp_path)
