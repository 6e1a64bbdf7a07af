"""Every command and every YAML of the README and of docs/use is run, or it is stated why not."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from koordnri.cli import cli
from koordnri.cli.node_file import read_node
from koordnri.cli.pods_file import read_pods
from koordnri.policy import load_policy
from koordnri.policy.document import SHAPES
from koordnri.runtime import Runtime
from tests.daemon.running import Running
from tests.docs.shown import Block, Command, blocks, commands, files, pages
from tests.support import messages

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = {
    "kubectl": "needs a cluster; tests/deploy and tests/e2e apply the manifests",
    "helm": "needs a cluster; tests/deploy renders the chart",
    "cd": "kustomize in deploy/; tests/deploy builds it",
    "make": "test_readme holds the targets; CI runs them",
    "sudo": "changes the node",
    "systemctl": "changes the node",
    "ssh": "another machine",
    "curl": "asks a running daemon over HTTP; tests/observe and tests/page ask it",
    "export": "changes the shell; CI runs from the same folder",
    "git": "needs a network",
    "exec": "a script of the runtime's plugin directory; tests/runtime/test_koordnri_on_adaptation.py has one",
    "ls": "a file of the node",
}
"""Programs that are not run here, and why."""
PARSED = {
    "run": "does not end",
    "v010": "does not end; tests/cli and tests/e2e run it",
    "conformance": "needs a plugin to check; tests/cli has some",
    "log": "does not end; tests/cli have a runtime for it",
    "differ": "does not end; tests/cli have a runtime for it",
    "bench": "takes a minute; tests/cli runs it small",
    "demo": "needs a terminal and a runtime; tests/e2e has both",
    "doctor": "what it finds is this machine's; tests/doctor has made ones",
    "top": "reads real cgroups; tests/cli has a tree of them",
    "report": "reads logs and versions of the machine; tests/cli runs it",
    "page": "needs a bundle; tests/page has one",
    "release": "needs the cgroups of real containers; tests/daemon and tests/e2e have them",
    "verify": "makes pods on a real node",
}
"""Commands of koordnri of which only the options are checked, and why."""
PAGES = {page.name: page for page in pages(ROOT)}
SHOWN = [(name, command) for name, page in PAGES.items() for command in commands(page.read_text())]


def label(case: tuple[str, Any]) -> str:
    name, shown = case
    return f"{name}:{shown.line}"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state directory of a daemon that runs, whose node has the pods that the pages ask about."""
    directory = tmp_path_factory.mktemp("live")
    (directory / "policy.yaml").write_text((ROOT / "examples/policy.yaml").read_text())
    with Runtime(directory / "nri.sock") as runtime:
        daemon = Running(directory, node=read_node(str(ROOT / "examples/exclusive-cpus/node.yaml")))
        try:
            daemon.wait_ready()
            for number, pod in enumerate(PODS):
                create(runtime, f"p{number}", pod)
            yield daemon.daemon.config.state_dir
        finally:
            daemon.close()


class Asked(NamedTuple):
    """A Guaranteed pod of the pages."""

    name: str
    qos: str
    cpu_milli: int = 2000
    annotations: Mapping[str, str] = {}


PODS = (
    Asked("db", "LSR"),
    Asked("web-0", "LS"),
    Asked("web", "LS"),
    Asked("quiet", "LS"),
    Asked("cache", "LSR", cpu_milli=500),
    Asked("mistaken", "LS", annotations={"koordinator.sh/cpuQOS": '{"groupIdentity": 7'}),
)
"""Of namespace shop."""


def create(runtime: Runtime, pod_id: str, pod: Asked) -> None:
    """Create it with one container."""
    labels = {"koordinator.sh/qosClass": pod.qos}
    parent = f"/kubepods.slice/kubepods-pod{pod_id}.slice"
    sandbox = messages.pod(pod_id, parent=parent, name=pod.name, uid=pod_id, labels=labels, annotations=pod.annotations)
    sandbox.namespace = "shop"
    runtime.run_pod_sandbox(sandbox)
    container = messages.container(f"c-{pod_id}", name="main")
    cpu = container.linux.resources.cpu
    cpu.shares.value, cpu.quota.value, cpu.period.value = pod.cpu_milli * 1024 // 1000, pod.cpu_milli * 100, 100_000
    runtime.create_container(pod_id, container)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], Result]:
    """Runs `koordnri` in an empty directory beside the examples, with `>` and `<`."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)

    def run(words: list[str]) -> Result:
        words, target, source = list(words), None, None
        if ">" in words:
            target = words.pop(words.index(">") + 1)
            words.remove(">")
        if "<" in words:
            source = words.pop(words.index("<") + 1)
            words.remove("<")
        given = None if source is None else Path(source).read_bytes()
        done = CliRunner().invoke(cli, words, input=given, env={"COLUMNS": "140"})
        if target is not None:
            Path(target).write_text(done.stdout)
        return done

    return run


def is_live(words: list[str]) -> bool:
    """Whether the command asks the daemon of a node."""
    command, options = words[0], words[1:]
    if command in ("status", "why", "node") or "--live" in options:
        return True
    return (command == "map" and "--node" not in options) or (command == "explain" and "-f" not in options)


def stand_in(command: str, directory: Path) -> None:
    """Files that are the reader's own: one of the examples instead."""
    for file in re.findall(r"(?<![\w/-])[a-z-]+\.yaml", command.split(" > ")[0]):
        if not (directory / file).exists():
            example = {"pod.yaml": "pods.yaml", "pods.yaml": "pods.yaml", "node.yaml": "node.yaml"}.get(
                file, "policy.yaml"
            )
            (directory / file).write_text((ROOT / "examples" / example).read_text())


def parse(words: list[str]) -> None:
    """Raises click's error for an option that the command does not take."""
    context, command = click.Context(cli), cli
    for sign in {"<", ">"} & set(words):
        words = words[: words.index(sign)] + words[words.index(sign) + 2 :]
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        context, command = found.make_context(name, list(words), parent=context, resilient_parsing=False), found
        words = [*context._protected_args, *context.args] if isinstance(command, click.Group) else []


@pytest.mark.parametrize("name", PAGES)
def test_commands_at_a_desk_run_in_their_order_and_print_what_the_page_shows(
    name: str, run: Callable[[list[str]], Result], tmp_path: Path
) -> None:
    page = PAGES[name].read_text()
    for file, text in files(page).items():
        (tmp_path / file).write_text(text)
    for command in commands(page):
        words = command.koordnris
        if not command.here or words[0] in PARSED or is_live(words):
            continue
        stand_in(command.text, tmp_path)
        done = run(words)
        assert done.exit_code == command.code, f"{name}:{command.line}: {command.text}\n{done.output}"
        if command.prints is not None:
            assert "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines()) == command.prints, command.text


LIVE = [case for case in SHOWN if (words := case[1].koordnris) and words[0] not in PARSED and is_live(words)]


@pytest.mark.parametrize("case", LIVE, ids=label)
def test_commands_on_a_node_are_answered_by_a_daemon(
    case: tuple[str, Command], run: Callable[[list[str]], Result], state: Path, tmp_path: Path
) -> None:
    name, command = case
    for file, text in files(PAGES[name].read_text()).items():
        (tmp_path / file).write_text(text)
    stand_in(command.text, tmp_path)
    words = command.koordnris
    done = run([words[0], "--state-dir", str(state), *words[1:]])
    # `status` ends with 1 for warnings, `diff` for a difference: both are answers.
    assert done.exit_code in (0, 1), f"{name}:{command.line}: {command.text}\n{done.output}"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("explain", "shop/quiet"), "as kubelet asked: no hook decides it"),
        (
            ("explain", "shop/mistaken"),
            "annotation koordinator.sh/cpuQOS: broken JSON, line 1 column 20: expecting ',' delimiter",
        ),
        (("map",), ".  shared by containers without exclusive CPUs"),
        (("why",), "shop/quiet"),
        (("status",), "policy   "),
    ],
)
def test_answers_shown_to_an_engineer_on_call_are_given(
    words: tuple[str, ...], shown: str, run: Callable[[list[str]], Result], state: Path
) -> None:
    assert shown in PAGES["on-call.md"].read_text()
    done = run([words[0], "--state-dir", str(state), *words[1:]])
    assert shown in done.output


@pytest.mark.parametrize("case", [c for c in SHOWN if c[1].koordnris and c[1].koordnris[0] in PARSED], ids=label)
def test_options_of_the_other_commands_exist(
    case: tuple[str, Command], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for word in case[1].koordnris[1:]:
        if re.fullmatch(r"[\w.-]+", word) and not word.startswith("-"):
            Path(word).touch()  # it may be a file that must be there
    parse(case[1].koordnris)


@pytest.mark.parametrize("case", [case for case in SHOWN if not case[1].koordnris], ids=label)
def test_other_programs_are_known_and_their_files_are_there(case: tuple[str, Command]) -> None:
    name, command = case
    words = shlex.split(command.text)
    assert words[0] in ELSEWHERE, f"{name}:{command.line}: {command.text}: run it, or say in ELSEWHERE why not"
    there = files(PAGES[name].read_text())
    for option, file in itertools.pairwise(words):
        if option == "-k" and "kind: Kustomization" in PAGES[name].read_text():
            continue  # the folder of that file
        if option in ("-f", "--filename", "-k") and file != "-" and "://" not in file:
            assert file in there or (ROOT / file).exists(), f"{name}:{command.line}: {file}"


SET = re.compile(r"--set (\S+?)=")


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if SET.search(page.read_text())])
def test_values_set_of_the_chart_exist(name: str) -> None:
    for path in SET.findall(PAGES[name].read_text()):
        value = yaml.safe_load((ROOT / "helm/koordnri/values.yaml").read_text())
        for key in path.split("."):
            assert key in value, f"{name}: --set {path}"
            value = value[key]


def yaml_blocks() -> list[tuple[str, Block]]:
    found = [(name, block) for name, page in PAGES.items() for block in blocks(page.read_text())]
    return [(name, block) for name, block in found if block.kind == "yaml"]


@pytest.mark.parametrize("case", yaml_blocks(), ids=label)
def test_every_yaml_is_good(case: tuple[str, Block], tmp_path: Path) -> None:
    name, block = case
    for number, document in enumerate(yaml.safe_load_all(block.body)):
        path = tmp_path / f"{number}.yaml"
        path.write_text(yaml.safe_dump(document))
        if document.get("kind") == "Kustomization":
            assert all((ROOT / folder.removeprefix("../")).is_dir() for folder in document["resources"])
        elif document.get("kind") == "Pod":
            assert read_pods(str(path))
        elif document.get("kind") == "ConfigMap" or document.keys() & SHAPES.keys():
            assert load_policy(block.body, name).warnings == ()
        elif "topology" in document:
            read_node(str(path))
        else:
            values = yaml.safe_load((ROOT / "helm/koordnri/values.yaml").read_text())
            assert document.keys() <= values.keys(), (
                f"{name}:{block.line}: neither pod, policy, node nor values of the chart"
            )
