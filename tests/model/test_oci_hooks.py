"""Which of a node's hooks of the OCI runtime are for a container."""

from __future__ import annotations

import re

import pytest

from koordnri.model.container import Creation
from koordnri.model.oci_hook import LONGEST_COMMAND, OCIHook, When
from koordnri.model.oci_hooks import OCIHooks
from koordnri.wire import api_pb2 as api

ANY, ON = re.compile(""), re.compile("^on$")


def hook(name: str, when: When) -> OCIHook:
    return OCIHook(name, "/bin/h", (), (), None, ("prestart",), when)


HOOKS = OCIHooks(
    (
        hook("1 literal", When(annotations=((re.compile("^a/(x|y)$"), ON),), literals=("a/",))),
        hook("2 command", When(commands=(re.compile("^/never$"), re.compile("sh$")))),
        hook("3 keys", When(keyed=(("b/c", ON), ("b/d", ON)))),
        hook("4 key and pattern", When(keyed=(("b/e", ANY),), annotations=((re.compile("z"), ANY),), literals=("z",))),
        hook("5 always", When(always=True)),
        hook("6 former", When(annotations=((ANY, re.compile("^former$")),), commands=(re.compile("x$"),), any_of=True)),
        hook("7 command and mounts", When(commands=(re.compile("sh$"),), has_bind_mounts=True)),
    )
)


def matching(hooks: OCIHooks, pod: dict[str, str], container: dict[str, str], *args: str, mounts: int = 0) -> list[str]:
    creation = Creation(api.Container(args=args, annotations=container), b"", lambda _: [api.Mount()] * mounts)
    return [one.name for one in hooks.matching(pod, creation)]


@pytest.mark.parametrize(
    ("pod", "container", "args", "names"),
    [
        ({}, {}, (), ["5 always"]),
        ({"b": "on", "b/c/d": "on"}, {"b/": "on"}, ("/bin/true", "sh"), ["5 always"]),
        ({"a/x": "on"}, {}, (), ["1 literal", "5 always"]),
        ({}, {"k": "", "a/y": "on"}, (), ["1 literal", "5 always"]),
        ({"a/z": "on"}, {"a/x": "off"}, (), ["5 always"]),
        ({"a/x": "off"}, {"a/x": "on"}, (), ["5 always"]),
        ({}, {}, ("/bin/sh",), ["2 command", "5 always"]),
        ({"b/c": "on"}, {"b/d": "on"}, (), ["3 keys", "5 always"]),
        ({"b/c": "on"}, {"b/d": "off"}, (), ["5 always"]),
        ({"b/c": "on"}, {}, (), ["5 always"]),
        ({"b/e": ""}, {}, (), ["5 always"]),
        ({"b/e": ""}, {"z": ""}, (), ["4 key and pattern", "5 always"]),
        ({"k": "former"}, {}, (), ["5 always", "6 former"]),
        ({}, {}, ("x",), ["5 always", "6 former"]),
        ({"a/x": "on"}, {"b/e": "former", "z": ""}, ("sh",),
         ["1 literal", "2 command", "4 key and pattern", "5 always", "6 former"]),
    ],
)  # fmt: skip
def test_they_come_in_their_order_and_each_by_its_own_conditions(
    pod: dict[str, str], container: dict[str, str], args: tuple[str, ...], names: list[str]
) -> None:
    assert matching(HOOKS, pod, container, *args) == names
    one_by_one = [name for hook in HOOKS for name in matching(OCIHooks((hook,)), pod, container, *args)]
    assert one_by_one == names


def test_a_command_alone_is_not_enough_where_there_is_another_condition() -> None:
    assert "7 command and mounts" not in matching(HOOKS, {}, {}, "sh")
    assert "7 command and mounts" in matching(HOOKS, {}, {}, "sh", mounts=1)


def test_only_the_beginning_of_a_long_command_is_looked_at() -> None:
    assert "2 command" in matching(HOOKS, {}, {}, "x" * (LONGEST_COMMAND - 2) + "sh")
    assert "2 command" not in matching(HOOKS, {}, {}, "x" * LONGEST_COMMAND + "sh")


def test_a_node_may_have_none() -> None:
    assert not OCIHooks()
    assert matching(OCIHooks(), {"a": ""}, {}, "sh") == []


def test_the_same_hooks_are_equal_so_that_a_reading_without_change_changes_nothing() -> None:
    assert OCIHooks(tuple(HOOKS)) == HOOKS
    assert OCIHooks(HOOKS[:2]) != HOOKS
