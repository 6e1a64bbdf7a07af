"""Hooks of the OCI runtime from the directories that podman and CRI-O read, too.

A file in the second directory masks that of the same name in the first one, even when it is broken: a mistake in an override must not run
what it was to replace. A file that cannot be used costs itself, and leaves a problem.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec

from koordnri.host.files import HostFiles
from koordnri.model.oci_hook import STAGES, OCIHook, When, key_of, literal_of
from koordnri.model.oci_hooks import OCIHooks

DIRECTORIES = ("usr/share/containers/oci/hooks.d", "etc/containers/oci/hooks.d")
MOST_FILES = 100
_MOST_BYTES = 1 << 16
_Seconds = Annotated[int, msgspec.Meta(ge=1, le=(1 << 31) - 1)]
"""With 0 the runtime would kill the hook at once, and fail the container; with more than runtimes count in ns, too."""


class _Hook(msgspec.Struct):
    path: str
    args: list[str] = []
    env: list[str] = []
    timeout: _Seconds | None = None


class _When(msgspec.Struct, rename="camel"):
    always: bool | None = None
    annotations: dict[str, str] = {}
    commands: list[str] = []
    has_bind_mounts: bool | None = None


class _Current(msgspec.Struct):
    """Schema 1.0.0."""

    hook: _Hook
    when: _When
    stages: list[str]

    def made(self, name: str) -> OCIHook:
        keyed, patterns = [], []
        for key, value in self.when.annotations.items():
            if only := key_of(key):
                keyed.append((only, re.compile(value)))
            else:
                patterns.append((re.compile(key), re.compile(value)))
        when = When(
            always=self.when.always,
            has_bind_mounts=self.when.has_bind_mounts,
            annotations=tuple(patterns),
            keyed=tuple(keyed),
            commands=tuple(map(re.compile, self.when.commands)),
            literals=tuple(filter(None, (literal_of(key.pattern) for key, _ in patterns))),
        )
        hook = self.hook
        return OCIHook(
            name, hook.path, tuple(hook.args), tuple(hook.env), hook.timeout, tuple(map(_stage, self.stages)), when
        )


class _Former(msgspec.Struct):
    """Schema 0.1.0, which may have no version. Three keys have a synonym."""

    hook: str
    arguments: list[str] | None = None
    stages: list[str] | None = None
    stage: list[str] | None = None
    cmds: list[str] | None = None
    cmd: list[str] | None = None
    annotations: list[str] | None = None
    annotation: list[str] | None = None
    hasbindmounts: bool | None = None

    def made(self, name: str) -> OCIHook:
        for one in ("stage", "cmd", "annotation"):
            if getattr(self, one) is not None and getattr(self, one + "s") is not None:
                raise ValueError(f"expected one of {one} and {one}s, got both")
        stages = self.stages or self.stage
        if stages is None:
            raise ValueError("expected stages, got none")
        values = self.annotations or self.annotation or []
        patterns = ((re.compile(".*"), re.compile("|".join(values))),) if values else ()
        commands = tuple(map(re.compile, self.cmds or self.cmd or []))
        when = When(has_bind_mounts=self.hasbindmounts, annotations=patterns, commands=commands, any_of=True)
        args = () if self.arguments is None else (self.hook, *self.arguments)
        return OCIHook(name, self.hook, args, (), None, tuple(map(_stage, stages)), when)


def _stage(stage: str) -> str:
    if stage not in STAGES:
        raise ValueError(f'expected the stages {", ".join(STAGES)}, got "{stage[:40]}"')
    return stage


def read_oci_hooks(files: HostFiles) -> OCIHooks:
    """The hooks in the order in which they are injected: by file name, in lower case."""
    paths: dict[str, str] = {}
    for directory in DIRECTORIES:
        found = files.entries(directory)
        paths |= {name: f"{directory}/{name}" for name in (found[1] if found else ()) if name.endswith(".json")}
    names = sorted(paths, key=lambda name: (name.lower(), name))
    if len(names) > MOST_FILES:
        files.bad(paths[names[MOST_FILES]], f"{len(names)} files", f"at most {MOST_FILES} hooks; the rest is left out")
    hooks = (_read(files, name, paths[name]) for name in names[:MOST_FILES])
    return OCIHooks(tuple(hook for hook in hooks if hook is not None))


def _read(files: HostFiles, name: str, path: str) -> OCIHook | None:
    text = files.text(path, _MOST_BYTES)
    if text is None:
        return None
    try:
        hook = _shape(text).made(name)
        if not hook.path.startswith("/"):
            raise ValueError(f'expected an absolute path of the hook, got "{hook.path[:80]}"')
        if not files.exists(hook.path.lstrip("/")):
            raise ValueError(
                f"expected the program {hook.path[:200]}, it does not exist: the runtime would fail containers"
            )
    except (msgspec.MsgspecError, ValueError, RecursionError, re.error) as error:
        files.problems.append(f"{files.path(path)}: no hook of the OCI runtime: {error}")
        return None
    return hook


def _shape(text: str) -> _Current | _Former:
    """Raises msgspec.MsgspecError or ValueError."""
    version: Any = msgspec.json.decode(text, type=dict[str, Any]).get("version", "")
    if version == "1.0.0":
        return msgspec.json.decode(text, type=_Current)
    if version in ("", "0.1.0"):
        return msgspec.json.decode(text, type=_Former)
    raise ValueError(f'expected version 1.0.0 or 0.1.0, got "{version!s:.20}"')
