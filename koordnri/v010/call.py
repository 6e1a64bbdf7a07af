"""What a program gets on its stdin, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from koordnri.v010 import oci
from koordnri.v010.configuration import Program
from koordnri.wire import api_pb2 as api


class ProgramError(Exception):
    """A program failed; the text says how."""


class Result(msgspec.Struct):
    """A program's answer. The programs after it get it, too.

    error      "" when all went well
    metadata   what it wants others to know; Go writes null for none
    """

    plugin: str = ""
    version: str = ""
    error: str = ""
    metadata: dict[str, str] | None = None

    def as_dict(self) -> dict[str, Any]:
        """As the next programs read it."""
        found: dict[str, Any] = {"plugin": self.plugin, "version": self.version, "error": self.error}
        return found | ({"metadata": self.metadata} if self.metadata else {})


class Call(NamedTuple):
    """One call of all programs.

    state      create, update or delete
    id         of the container; of the sandbox when the call is for the sandbox
    spec       resources, namespaces, cgroup and annotations
    """

    state: str
    id: str
    sandbox_id: str
    pid: int
    spec: dict[str, Any]
    labels: dict[str, str]

    @classmethod
    def of_pod(cls, state: str, pod: api.PodSandbox) -> Call:
        """A call for a sandbox."""
        linux = pod.linux
        spec = _spec(linux.resources if linux.HasField("resources") else None, linux, pod.annotations)
        return cls(state, pod.id, pod.id, pod.pid, spec, dict(pod.labels))

    @classmethod
    def of_container(
        cls, state: str, pod: api.PodSandbox, container: api.Container, changed: api.LinuxResources | None = None
    ) -> Call:
        """A call for a container. `changed`: its resources after an update, when the message still has the former ones."""
        linux = container.linux
        asked = changed if changed is not None else linux.resources if linux.HasField("resources") else None
        spec = _spec(asked, linux, container.annotations)
        return cls(state, container.id, pod.id, container.pid, spec, dict(pod.labels))

    def request(self, program: Program, version: str, results: Sequence[Result]) -> bytes:
        """What a program reads from stdin. `results`: the answers of the programs before it."""
        wanted: dict[str, Any] = {"conf": program.conf} if bytes(program.conf) else {}
        wanted |= {"version": version, "state": self.state, "id": self.id, "sandboxID": self.sandbox_id}
        if self.pid:
            wanted["pid"] = self.pid
        wanted["spec"] = self.spec
        if self.labels:
            wanted["labels"] = self.labels
        if results:
            wanted["results"] = [result.as_dict() for result in results]
        return msgspec.json.encode(wanted)


def _spec(asked: api.LinuxResources | None, linux: Any, annotations: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"resources": None if asked is None else oci.resources(asked)}
    if linux.namespaces:
        spec["namespaces"] = {namespace.type: namespace.path for namespace in linux.namespaces}
    if linux.cgroups_path:
        spec["cgroupsPath"] = linux.cgroups_path
    if annotations:
        spec["annotations"] = dict(annotations)
    return spec


_DECODER = msgspec.json.Decoder(Result)


def answered(output: bytes, code: int) -> Result:
    """The answer of a program that has ended with this exit code. Raises ProgramError when it failed.

    The exit code alone is no error; it is named where the output cannot be read.
    """
    try:
        result = _DECODER.decode(output)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        shown = repr(output[:200].decode(errors="backslashreplace")) if output else "<empty>"
        raise ProgramError(f"its output cannot be read: {shown}, exit code {code}: {error}") from None
    if result.error:
        raise ProgramError(result.error)
    return result
