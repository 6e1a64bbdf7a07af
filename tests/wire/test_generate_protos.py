"""The committed protobuf code is what the .proto files give, and the check notices when it is not."""

from __future__ import annotations

import pytest

from tools import generate_protos


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    out = tmp_path_factory.mktemp("protos")
    generate_protos.generate(out)
    return out


def test_the_committed_code_is_fresh(generated):
    assert generate_protos.stale(generated) == [], "run `python tools/generate_protos.py` and commit the result"


@pytest.mark.parametrize("name", generate_protos.outputs())
def test_a_difference_in_any_file_is_noticed(name, generated, tmp_path):
    for output in generate_protos.outputs():
        copy = tmp_path / output
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((generated / output).read_bytes())
    (tmp_path / name).write_bytes(b"# changed\n" + (generated / name).read_bytes())
    assert generate_protos.stale(tmp_path) == [name]
