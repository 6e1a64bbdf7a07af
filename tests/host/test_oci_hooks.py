"""Hooks of the OCI runtime from the host's hooks.d directories."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from koordnri.host import read_node, refresh
from koordnri.host.files import HostFiles
from koordnri.host.oci_hooks import DIRECTORIES, MOST_FILES, read_oci_hooks
from koordnri.model.oci_hook import OCIHook

DEFAULT, OVERRIDE = DIRECTORIES
ALWAYS = {"version": "1.0.0", "hook": {"path": "/bin/h"}, "when": {"always": True}, "stages": ["prestart"]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for directory in (DEFAULT, OVERRIDE, "bin"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "bin/h").touch()
    return tmp_path


def write(root: Path, name: str, content: Any, directory: str = DEFAULT) -> None:
    (root / directory / name).write_text(content if isinstance(content, str) else json.dumps(content))


def read(root: Path) -> tuple[tuple[OCIHook, ...], list[str]]:
    files = HostFiles(root)
    return read_oci_hooks(files), files.problems


def test_a_whole_hook_is_read(root: Path) -> None:
    hook = {"path": "/bin/h", "args": ["h", "go"], "env": ["A=1"], "timeout": 3}
    when = {"annotations": {"^a$": "b"}, "commands": ["sh$"], "hasBindMounts": True}
    write(root, "x.json", {**ALWAYS, "hook": hook, "when": when, "stages": ["createRuntime", "poststop"]})
    ((found,), problems) = read(root)
    assert (found.name, found.path, found.args, found.env, found.timeout_s) == (
        "x.json",
        "/bin/h",
        ("h", "go"),
        ("A=1",),
        3,
    )
    assert (found.stages, problems) == (("createRuntime", "poststop"), [])
    assert found.when.matches("/bin/sh", {"a": "b"}, {}, lambda: ["a mount"])
    assert not found.when.matches("/bin/sh", {"a": "b"}, {}, list)
    assert not found.when.matches("/bin/sh", {"a": "c"}, {}, lambda: ["a mount"])


def test_a_pattern_of_one_key_is_looked_up_and_others_are_searched(root: Path) -> None:
    write(root, "x.json", {**ALWAYS, "when": {"annotations": {r"^a\.io/b$": "c", "^d/(e|f)$": "g", "h.": ""}}})
    ((found,), _) = read(root)
    assert [(key, value.pattern) for key, value in found.when.keyed] == [("a.io/b", "c")]
    assert [(key.pattern, value.pattern) for key, value in found.when.annotations] == [("^d/(e|f)$", "g"), ("h.", "")]
    assert found.when.literals == ("d/", "h")


def test_the_former_schema_is_read(root: Path) -> None:
    former = {
        "hook": "/bin/h",
        "arguments": ["go"],
        "stage": ["poststart"],
        "cmd": ["init$"],
        "annotations": ["x", "y"],
    }
    write(root, "old.json", former)
    ((found,), _) = read(root)
    assert (found.args, found.stages) == (("/bin/h", "go"), ("poststart",))
    assert found.when.matches("sh", {"any": "y"}, {}, list)
    assert found.when.matches("/init", {}, {}, list)
    assert not found.when.matches("sh", {}, {}, list)


def test_files_come_by_name_and_the_override_masks(root: Path) -> None:
    for name in ("20-B.json", "10-a.json", "30-c.json", "readme.txt"):
        write(root, name, ALWAYS)
    write(root, "30-c.json", {**ALWAYS, "stages": ["poststop"]}, OVERRIDE)
    write(root, "05-z.json", ALWAYS, OVERRIDE)
    hooks, problems = read(root)
    assert [hook.name for hook in hooks] == ["05-z.json", "10-a.json", "20-B.json", "30-c.json"]
    assert (hooks[3].stages, problems) == (("poststop",), [])
    write(root, "10-a.json", "{", OVERRIDE)
    assert [hook.name for hook in read(root)[0]] == ["05-z.json", "20-B.json", "30-c.json"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "truncated"),
        ("[]", "Expected `object`"),
        ({**ALWAYS, "version": "2.0"}, 'expected version 1.0.0 or 0.1.0, got "2.0"'),
        ({**ALWAYS, "stages": ["never"]}, 'poststop, got "never"'),
        ({**ALWAYS, "when": {"commands": ["("]}}, "unterminated"),
        ({**ALWAYS, "hook": {"path": "h"}}, 'expected an absolute path of the hook, got "h"'),
        ({**ALWAYS, "hook": {"path": "/bin/h", "timeout": 0}}, "Expected `int` >= 1"),
        ({**ALWAYS, "hook": {"path": "/bin/h", "timeout": 1 << 40}}, "Expected `int` <= 2147483647"),
        ({**ALWAYS, "hook": {"path": "/bin/gone"}}, "expected the program /bin/gone, it does not exist"),
        ({"hook": "/bin/h"}, "expected stages, got none"),
        ({"hook": "/bin/h", "stage": [], "stages": []}, "expected one of stage and stages, got both"),
        ({"version": "1.0.0", "hook": {"path": "/bin/h"}, "stages": []}, "missing required field `when`"),
    ],
)
def test_a_file_that_cannot_be_used_costs_itself_and_is_named(root: Path, content: Any, words: str) -> None:
    write(root, "bad.json", content)
    write(root, "good.json", ALWAYS)
    (hooks, (problem,)) = read(root)
    assert [hook.name for hook in hooks] == ["good.json"]
    assert problem.startswith(f"{root}/{DEFAULT}/bad.json: no hook of the OCI runtime: ")
    assert words in problem


def test_a_named_pipe_without_a_writer_is_not_waited_for(root: Path) -> None:
    write(root, "good.json", ALWAYS)
    os.mkfifo(root / DEFAULT / "pipe.json")
    (hooks, (problem,)) = read(root)
    assert [hook.name for hook in hooks] == ["good.json"]
    assert "pipe.json: no hook of the OCI runtime: " in problem


def test_a_link_to_itself_costs_itself(root: Path) -> None:
    write(root, "good.json", ALWAYS)
    (root / DEFAULT / "loop.json").symlink_to("loop.json")
    (hooks, (problem,)) = read(root)
    assert [hook.name for hook in hooks] == ["good.json"]
    assert problem.startswith(f"{root}/{DEFAULT}/loop.json: cannot be read: ")


def test_there_may_be_only_so_many(root: Path) -> None:
    for number in range(MOST_FILES + 1):
        write(root, f"{number:03}.json", ALWAYS)
    hooks, (problem,) = read(root)
    assert len(hooks) == MOST_FILES
    assert "at most 100 hooks" in problem


def test_the_node_has_them_and_a_reading_without_change_is_the_same_node(root: Path) -> None:
    write(root, "x.json", ALWAYS)
    node = read_node(root, "n")
    assert [hook.name for hook in node.oci_hooks] == ["x.json"]
    assert refresh(node, root, full=True) is node
    write(root, "y.json", ALWAYS)
    assert len(refresh(node, root, full=True).oci_hooks) == 2
