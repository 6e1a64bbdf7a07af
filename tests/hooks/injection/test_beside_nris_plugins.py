"""The same pod before the hook `injection` and before NRI's own sample plugin: both ask the runtime for the same, or both refuse.

The plugins are those of Debian's source package (tools/lab_nri_plugins.py), which know the former keys only. What newer ones have is
tested with KOORDNRI_NRI_PLUGINS, a directory of programs that somebody has built.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from koordnri_hooks.injection.hook import InjectionHook

from koordnri.host.files import HostFiles
from koordnri.host.oci_hooks import DIRECTORIES, read_oci_hooks
from koordnri.model import NodeState
from koordnri.model.decision import Decision
from koordnri.model.node import Resctrl
from koordnri.runtime import LATEST, Runtime
from koordnri.runtime.errors import CRIError
from koordnri.wire import api_pb2 as api
from tests.e2e import lab
from tests.hooks.injection.one_injection import EVERYBODY, created_with, sent
from tests.hooks.one_hook import NODE, context, run
from tests.support import messages
from tests.support.pods import pod

# `make test` has no Go.
pytestmark = pytest.mark.full

NEWER = os.environ.get("KOORDNRI_NRI_PLUGINS")
PLUGINS = Path(NEWER) if NEWER else lab.LAB_DIR / "nri-plugins"
INJECTOR, ULIMITS, RDT, HOOKS = "device-injector", "ulimit-adjuster", "rdt", "hook-injector"
OF_MAIN = "/container.main"
WITH_RESCTRL = replace(NODE, resctrl=Resctrl("intel", 0x7FF, 16, (0,), frozenset()))


class Case(NamedTuple):
    """Annotations of a pod, and which sample plugin reads them."""

    name: str
    plugin: str
    annotations: Mapping[str, Any]
    """key → text, or what is written as JSON"""
    refused: bool = False


DEVICE = {"path": "/dev/nri-null", "type": "c", "major": 1, "minor": 3}
WHOLE_DEVICE = {**DEVICE, "file_mode": 0o640, "uid": 1000, "gid": 7}
MOUNT = {"source": "/srv", "destination": "/data", "type": "bind", "options": ["rbind", "ro"]}
FORMER = (
    Case("a device", INJECTOR, {"devices.nri.io": [DEVICE]}),
    Case("a device with owner and mode", INJECTOR, {"devices.nri.io": [WHOLE_DEVICE]}),
    Case("two devices", INJECTOR, {"devices.nri.io": [DEVICE, {**DEVICE, "path": "/dev/b", "type": "b", "minor": 9}]}),
    Case("YAML", INJECTOR, {"devices.nri.io": "- path: /dev/x\n  type: c\n  major: 0x1\n  minor: 3\n  file_mode: 0644\n"}),
    Case("no devices", INJECTOR, {"devices.nri.io": "[]"}),
    Case("an empty text", INJECTOR, {"devices.nri.io": ""}),
    Case("null", INJECTOR, {"devices.nri.io": "null"}),
    Case("no list", INJECTOR, {"devices.nri.io": DEVICE}, refused=True),
    Case("no YAML", INJECTOR, {"devices.nri.io": "[{"}, refused=True),
    Case("text for a number", INJECTOR, {"devices.nri.io": [{**DEVICE, "major": "one"}]}, refused=True),
    Case("mounts", INJECTOR, {"mounts.nri.io": [MOUNT, {**MOUNT, "destination": "/more", "options": []}]}),
    Case("CDI devices", INJECTOR, {"cdi-devices.nri.io": ["acme.com/card=0", "acme.com/card=1"]}),
    Case(
        "three kinds at once",
        INJECTOR,
        {
            "devices.nri.io": [DEVICE],
            "mounts.nri.io": [MOUNT],
            "cdi-devices.nri.io": ["acme.com/card=0"],
        },
    ),
    Case("the container before the pod", INJECTOR, {f"devices.nri.io{OF_MAIN}": [DEVICE], "devices.nri.io/pod": [WHOLE_DEVICE]}),
    Case("/pod before the bare key", INJECTOR, {"devices.nri.io/pod": [DEVICE], "devices.nri.io": [WHOLE_DEVICE]}),
    Case("an empty text of the container hides the pod's", INJECTOR, {f"mounts.nri.io{OF_MAIN}": "", "mounts.nri.io": [MOUNT]}),
    Case("another container", INJECTOR, {"devices.nri.io/container.other": [DEVICE]}),
    Case("another scope", INJECTOR, {"devices.nri.io/pods": [DEVICE]}),
    Case(
        "limits, by three spellings",
        ULIMITS,
        {
            f"ulimits.nri.containerd.io{OF_MAIN}": [
                {"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 512},
                {"type": "memlock", "hard": (1 << 64) - 1, "soft": (1 << 64) - 1},
                {"type": "Core", "hard": 5},
            ]
        },
    ),
    Case("limits of the pod", ULIMITS, {"ulimits.nri.containerd.io/pod": [{"type": "core", "hard": 5}]}),
    Case("a soft limit above", ULIMITS, {f"ulimits.nri.containerd.io{OF_MAIN}": [{"type": "core", "soft": 5}]}, refused=True),
    Case("an unknown limit", ULIMITS, {f"ulimits.nri.containerd.io{OF_MAIN}": [{"type": "colour", "hard": 5}]}, refused=True),
    Case("a negative limit", ULIMITS, {f"ulimits.nri.containerd.io{OF_MAIN}": [{"type": "core", "hard": -1}]}, refused=True),
)  # fmt: skip
SCHEDULING = {"policy": "SCHED_DEADLINE", "runtime": 10, "deadline": 20, "period": 30, "flags": ["SCHED_FLAG_RECLAIM"]}
NEW = "noderesource.dev"
PRESENT = (
    Case("the present key", INJECTOR, {f"devices.{NEW}": [DEVICE]}),
    Case("the present key before the former", INJECTOR, {f"devices.{NEW}": [DEVICE], "devices.nri.io": [WHOLE_DEVICE]}),
    Case("the former of the container before the present of the pod", INJECTOR,
         {f"devices.{NEW}": [DEVICE], f"devices.nri.io{OF_MAIN}": [WHOLE_DEVICE]}),
    Case("I/O priority", INJECTOR, {f"io-priority.{NEW}/pod": {"class": "IOPRIO_CLASS_BE", "priority": 3}}),
    Case("scheduling policy", INJECTOR, {f"scheduling-policy.{NEW}": SCHEDULING}),
    Case("former scheduling policy", INJECTOR, {"scheduling-policy.nri.io": {"policy": "SCHED_BATCH", "nice": 5}}),
    Case("kernel parameters", INJECTOR, {f"sysctl.{NEW}{OF_MAIN}": {"net.core.somaxconn": "10", "kernel.shmmni": "123"}}),
    Case("memory policy", INJECTOR, {f"memory-policy.{NEW}": {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}}),
    Case("an unknown mode", INJECTOR, {f"memory-policy.{NEW}": {"mode": "MPOL_NEAR", "nodes": "0"}}, refused=True),
    Case("network devices", INJECTOR, {f"network-devices.{NEW}": [{"hostIf": "eth7", "name": "net0"}]}),
    Case("the present limits before the former", ULIMITS,
         {f"ulimits.{NEW}{OF_MAIN}": [{"type": "core", "hard": 5}], f"ulimits.nri.containerd.io{OF_MAIN}": [{"type": "core", "hard": 6}]}),
    Case("a resctrl group", RDT, {f"closid.rdt.{NEW}{OF_MAIN}": "gold", f"schemata.rdt.{NEW}{OF_MAIN}": "L3:0=f,MB:0=50"}),
    Case("monitoring", RDT, {f"enablemonitoring.rdt.{NEW}{OF_MAIN}": "T"}),
    Case("monitoring, perhaps", RDT, {f"enablemonitoring.rdt.{NEW}{OF_MAIN}": "perhaps"}, refused=True),
)  # fmt: skip
CASES = (*FORMER, *(PRESENT if NEWER else ()))


def plugin_at(path: Path, name: str, script: str = "") -> Path:
    """An executable that the runtime can start: the plugin, or this script, which starts it as `$PLUGIN`."""
    if not (PLUGINS / name).exists():
        pytest.skip(f"no {PLUGINS / name}: run python tools/lab_nri_plugins.py")
    program = path / f"10-{name}"
    if script:
        program.write_text(f"#!/bin/sh\nPLUGIN={PLUGINS / name}\n{script}\n")
        program.chmod(0o755)
    else:
        program.symlink_to(PLUGINS / name)
    return program


@contextmanager
def launched(path: Path, program: Path) -> Iterator[Runtime]:
    """The embedded runtime with this plugin."""
    with Runtime(path / "nri", LATEST) as runtime:
        peer = runtime.launch(program)
        assert runtime.wait_for_plugin() is peer
        yield runtime


def theirs(
    runtime: Runtime, annotations: Mapping[str, str], container: api.Container
) -> api.ContainerAdjustment | None:
    """What the plugin asks for; None: it refuses the container."""
    runtime.run_pod_sandbox(messages.pod(annotations=dict(annotations)))
    try:
        return runtime.create_container("p1", container).adjust
    except CRIError:
        return None
    finally:
        runtime.remove_pod_sandbox("p1")


def ours(annotations: Mapping[str, str], container: api.Container, node: NodeState = NODE) -> Decision:
    """What our hook decides."""
    ctx = context(pod(annotations=dict(annotations)), node=node, policy=EVERYBODY)
    ctx.container.creation = created_with(container.args, container.annotations, container.mounts)
    return run(InjectionHook(), ctx)


@pytest.fixture(scope="module")
def runtimes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Runtime]]:
    """One per plugin, for all cases."""
    with ExitStack() as stack:
        runtimes = {}
        for name in dict.fromkeys(case.plugin for case in CASES):
            path = tmp_path_factory.mktemp(name)
            runtimes[name] = stack.enter_context(launched(path, plugin_at(path, name)))
        yield runtimes


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.plugin}: {case.name}")
def test_both_ask_for_the_same_or_refuse(case: Case, runtimes: Mapping[str, Runtime]) -> None:
    annotations = {key: text if isinstance(text, str) else json.dumps(text) for key, text in case.annotations.items()}
    container = messages.container("c1", name="main")
    adjustment = theirs(runtimes[case.plugin], annotations, container)
    decision = ours(annotations, container, WITH_RESCTRL)
    assert (adjustment is None) is case.refused
    if adjustment is None:
        assert decision.errors
        assert not decision.settings
    else:
        assert sent(decision) == adjustment


EARLY = "prestart" if NEWER else "createRuntime"
"""Newer plugins replace the stage that the OCI specification has dropped, as we do."""
HOOK_FILES = {
    "50-always.json": {"hook": {"path": "/bin/h"}, "when": {"always": True}, "stages": [EARLY, "poststop"]},
    "10-Annotated.json": {
        "hook": {"path": "/bin/h", "args": ["h", "go"], "env": ["A=1"], "timeout": 7},
        "when": {"annotations": {"^example\\.com/(a|b)$": "^on$"}, "commands": ["sh$"], "hasBindMounts": True},
        "stages": ["createRuntime", "createContainer", "startContainer"],
    },
    "20-container.json": {
        "hook": {"path": "/bin/h"},
        "when": {"annotations": {"^who$": "^pod$"}},
        "stages": ["poststart"],
    },
    "30-other.json": {"hook": {"path": "/bin/h"}, "when": {"commands": ["^/usr/bin/python"]}, "stages": ["poststart"]},
    "40-mounted.json": {"hook": {"path": "/bin/h"}, "when": {"hasBindMounts": True}, "stages": ["createRuntime"]},
}
IN_CHROOT = 'exec {chroot} "{root}" /plugin'


@pytest.fixture(scope="module")
def hooks_runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Runtime, Path]]:
    """The plugin in a root directory of its own, since it reads the host's files by their absolute paths; and that directory."""
    if os.geteuid() != 0:
        pytest.skip("not root: chroot(8) needs it")
    path = tmp_path_factory.mktemp("hooks")
    root = path / "root"
    for directory in (*DIRECTORIES, "bin"):
        (root / directory).mkdir(parents=True)
    (root / "bin/h").touch()
    for number, (name, content) in enumerate(HOOK_FILES.items()):
        (root / DIRECTORIES[number % 2] / name).write_text(json.dumps({"version": "1.0.0", **content}))
    program = plugin_at(path, HOOKS, IN_CHROOT.format(chroot=shutil.which("chroot"), root=root))
    shutil.copy2(PLUGINS / HOOKS, root / "plugin")
    with launched(path, program) as runtime:
        yield runtime, root


@pytest.mark.parametrize("command", [["/bin/sh", "-c", "true"], ["/usr/bin/python3"]], ids=" ".join)
@pytest.mark.parametrize("annotations", [{}, {"example.com/b": "on"}, {"example.com/c": "on"}, {"who": "pod"}], ids=str)
@pytest.mark.parametrize(
    "mounts", [[], [api.Mount(destination="/x", source="/x", type="bind")]], ids=["bare", "mounted"]
)
def test_both_inject_the_same_hooks(
    command: list[str], annotations: dict[str, str], mounts: list[api.Mount], hooks_runtime: tuple[Runtime, Path]
) -> None:
    runtime, root = hooks_runtime
    container = messages.container("c1", name="main", args=command, mounts=mounts, annotations={"who": "container"})
    files = HostFiles(root)
    decision = ours(annotations, container, replace(NODE, oci_hooks=read_oci_hooks(files)))
    assert files.problems == []
    assert sent(decision) == theirs(runtime, annotations, container)
