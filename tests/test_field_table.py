"""The field table is the only one: every row can be set and given back, and a new row works everywhere or says what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import koordnri
from koordnri.host.cgroup.spelling import form
from koordnri.host.cgroup.writer import Writer
from koordnri.model import Field, fields
from tests.field_walk import DIRECTORY, FEATURE, node_with, walk_file, walk_runtime
from tests.host.fake_kernel import ROOT, FakeKernel

FILES = [(f, version) for f in fields.ALL for version in (1, 2) if form(f, version) is not None]
UPDATABLE = [(f, version) for f, version in FILES if f.update]
REPOSITORY = Path(__file__).parents[1]


def name_of(value: Field | int) -> str:
    return value.name if isinstance(value, Field) else f"v{value}"


@pytest.mark.parametrize(("field", "version"), FILES, ids=name_of)
def test_every_field_with_a_file_can_be_set_and_given_back(field: Field, version: int) -> None:
    above = ["", "kubepods", "kubepods/pod1"]
    kernel = FakeKernel(version, [*above, DIRECTORY])
    kernel.alibaba = kernel.group_identity = True
    kernel.host_files = {f"{ROOT}{f.v1}": "7\n" for f in fields.ALL if f.v1.startswith("/")}
    kernel.host_files[f"{ROOT}{fields.SCHED_FEATURE.v1}"] = f"A NO_{FEATURE}\n"
    walk_file(field, Writer(ROOT, version, kernel), node_with(field, version))


@pytest.mark.parametrize(("field", "version"), UPDATABLE, ids=name_of)
def test_every_field_of_an_update_can_be_given_back_through_the_runtime(field: Field, version: int) -> None:
    walk_runtime(field, node_with(field, version))


# -- a new row, in a copy of the package ------------------------------------------------------------------------------


def run(tmp_path: Path, row: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run python on a copy of the package whose table has one row more."""
    copy = tmp_path / "koordnri"
    shutil.copytree(Path(koordnri.__path__[0]), copy)
    table = copy / "model" / "fields.py"
    before, mark, after = table.read_text().partition("ALL: tuple")
    table.write_text(f"{before}NEW = {row}\n\n{mark}{after}")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}
    return subprocess.run(
        [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )


ROWS = {
    "unified": (
        'Field("memory.new.max", "bytes", Adjust.UNIFIED, update=True, same=_same_limit, v2=("memory.new.max",), '
        "spelling=Spelling.MAX, nesting=Nesting.LIMIT, neutral=UNLIMITED)",
        "memory.new.max",
        [2],
    ),
    "file": (
        'Field("memory.new", "number", Adjust.FILE, v1="memory/memory.new", v2=("memory.new",), seen=True, '
        "spelling=Spelling.NUMBER, neutral=0)",
        "memory.new",
        [1, 2],
    ),
}


@pytest.mark.parametrize("kind", ROWS)
def test_a_new_row_works_everywhere(tmp_path: Path, kind: str) -> None:
    row, name, versions = ROWS[kind]
    for version in versions:
        where = tmp_path / f"v{version}"
        done = run(where, row, "-m", "tests.field_walk", name, str(version), str(where))
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("row", "module", "message"),
    [
        pytest.param(
            'Field("x", "number", Adjust.FILE, v2=("x",), neutral=0)',
            "koordnri.model.fields",
            "field x: a cgroup file needs `spelling`",
            id="a-file-without-spelling",
        ),
        pytest.param(
            'Field("x", "number", Adjust.UNIFIED, update=True, v2=("x",), spelling=Spelling.NUMBER)',
            "koordnri.model.fields",
            "field x: update=True needs `neutral`",
            id="an-update-without-a-way-back",
        ),
        pytest.param('Field("env", "text", Adjust.ENV)', "koordnri.model.fields", "two rows", id="a-name-twice"),
        pytest.param(
            'Field("x", "number", Adjust.FILE, v2=("x",), spelling=Spelling.NUMBER, neutral="none")',
            "koordnri.host.cgroup.writer",
            "field x: neutral='none' is no value of Spelling.NUMBER",
            id="a-neutral-value-that-no-file-takes",
        ),
        pytest.param(
            'Field("x", "bytes", Adjust.RESOURCES, place="memory.swap.value", update=True, neutral=0, baseline="swap")',
            "koordnri.model",
            "field x: baseline='swap' is no attribute of",
            id="a-baseline-that-nobody-keeps",
        ),
        pytest.param(
            'Field("x", "bytes", Adjust.RESOURCES, place="memory.zswap.value")',
            "koordnri.session.encode",
            "field x: place='memory.zswap.value' is not in",
            id="a-place-that-no-message-has",
        ),
        pytest.param(
            'Field("x", "bytes", Adjust.RESOURCES, place="memory.swap.value", update=True, neutral=0, baseline="mems")',
            "koordnri.session.translate",
            "field x: place='memory.swap.value' is not in koordnri.views.LinuxResources",
            id="a-place-that-requests-are-not-read-for",
        ),
    ],
)
def test_a_new_row_that_asks_for_what_is_missing_fails_at_import_and_says_so(
    tmp_path: Path, row: str, module: str, message: str
) -> None:
    done = run(tmp_path, row, "-c", f"import {module}")
    assert done.returncode != 0
    assert "FieldTableError: " in done.stderr
    assert message in done.stderr


@pytest.mark.parametrize(
    ("member", "module"),
    [
        ("Spelling", "koordnri.host.cgroup.spelling"),
        ("Nesting", "koordnri.host.cgroup.nesting"),
        ("Writing", "koordnri.host.cgroup.steps"),
        ("Adjust", "koordnri.session.encode"),
        ("Adjust", "koordnri.cli.outcome"),
    ],
)
def test_a_new_kind_that_its_reader_does_not_know_fails_at_import(tmp_path: Path, member: str, module: str) -> None:
    shutil.copytree(Path(koordnri.__path__[0]), tmp_path / "koordnri")
    file = tmp_path / "koordnri/model/field.py"
    before, mark, after = file.read_text().partition(f"class {member}(")
    head, doc, rest = after.partition('"""\n\n')
    file.write_text(f'{before}{mark}{head}{doc}    NEW = "new"\n{rest}')
    done = subprocess.run(
        [sys.executable, "-c", f"import {module}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert f"FieldTableError: {module}" in done.stderr
    assert f"{member}.NEW" in done.stderr
