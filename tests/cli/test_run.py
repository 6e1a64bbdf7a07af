"""`koordnri run` as a process: its options, how it ends, and as a plugin that a runtime launched."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from koordnri.cli import COMMANDS, cli
from koordnri.cli.run import run
from koordnri.runtime import Runtime
from koordnri.runtime.launch import Launched
from tests.session.scripted_runtime import Link
from tests.support.waiting import PATIENCE_S, eventually

GOOD = "resource-qos-config: {beClass: {memoryQOS: {minLimitPercent: 20}}}\n"


def events(log: Path) -> list[dict[str, Any]]:
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]


def logged(log: Path, event: str) -> dict[str, Any] | None:
    return next((line for line in events(log) if line["event"] == event), None)


class Process:
    """`koordnri` with arguments, its stderr in a file."""

    def __init__(self, directory: Path, *arguments: str, **environment: str) -> None:
        self.log = directory / "stderr"
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("KOORDNRI_", "NRI_", "NODE_NAME"))}
        with self.log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "koordnri.cli", *arguments],
                env=clean | environment,
                stderr=stderr,
                stdout=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
            )

    def wait_logged(self, event: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            line = logged(self.log, event)
            assert line or self.process.poll() is None, f"ended before {event}: {self.log.read_text()}"
            return line

        return dict(eventually(found, event))

    def ended(self) -> tuple[int, str]:
        """Exit code and what is on stderr."""
        code = self.process.wait(PATIENCE_S)
        return code, self.log.read_text()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def options(tmp_path: Path) -> tuple[str, ...]:
    return ("--nri-socket", str(tmp_path / "nri.sock"), "--state-dir", str(tmp_path / "state"), "--listen", "off")


# -- life -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("connected", [True, False])
def test_it_ends_cleanly_when_asked_to(tmp_path, options, how, connected):
    with Process(tmp_path, "run", *options) as koordnri:
        if connected:
            with Runtime(tmp_path / "nri.sock") as runtime:
                runtime.wait_for_plugin(PATIENCE_S)
                koordnri.wait_logged("synchronized")
                koordnri.process.send_signal(how)
                code, text = koordnri.ended()
        else:
            koordnri.wait_logged("runtime_not_there")
            koordnri.process.send_signal(how)
            code, text = koordnri.ended()
    assert code == 0, text
    assert events(koordnri.log)[-1]["event"] == "stopped"
    assert "Traceback" not in text


def test_nothing_is_printed_but_its_log(tmp_path, options):
    with Process(tmp_path, "run", *options) as koordnri:
        koordnri.wait_logged("runtime_not_there")
        koordnri.process.terminate()
        assert koordnri.process.communicate(timeout=PATIENCE_S)[0] == b""


def test_a_second_one_waits_for_the_first_to_die(tmp_path, options):
    with Runtime(tmp_path / "nri.sock") as runtime, Process(tmp_path, "run", *options) as first:
        runtime.wait_for_plugin(PATIENCE_S)
        (tmp_path / "second").mkdir()
        with Process(tmp_path / "second", "run", *options) as second:
            second.wait_logged("started")
            assert runtime.registrations == 1
            first.process.kill()
            runtime.wait_for_plugin(PATIENCE_S, nth=2)
            second.process.terminate()
            assert second.ended()[0] == 0


def test_the_console_format_is_for_people(tmp_path, options):
    with Process(tmp_path, "run", *options, "--log-format", "console") as koordnri:
        eventually(lambda: "runtime_not_there" in koordnri.log.read_text(), "a line")
        koordnri.process.terminate()
        _, text = koordnri.ended()
    assert " info    started hooks=" in text


# -- mistakes ---------------------------------------------------------------------------------------------------------


def refused(directory: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Of a command that ends by itself: exit code, and its error without the usage before it."""
    with Process(directory, *arguments, **environment) as process:
        code, text = process.ended()
    assert "Traceback" not in text
    return code, text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--plugin-index", "7"), ["plugin index: expected two digits such as 10", 'got "7"']),
        (("--plugin-name", "a b"), ["plugin name: expected", 'got "a b"']),
        (("--listen", "127.0.0.1:{port}"), ["in use", "--listen 127.0.0.1:{port}"]),
        (("--listen", "192.0.2.1:80"), ["--listen 192.0.2.1:80"]),
        (("--listen-health", "127.0.0.1:{port}"), ["in use", "--listen-health 127.0.0.1:{port}"]),
    ],
)
def test_what_keeps_it_from_starting_is_reported_in_one_line(tmp_path, options, arguments, words):
    file = tmp_path / "file"
    file.touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        known = {"file": str(file), "port": str(taken.getsockname()[1])}
        code, text = refused(tmp_path, "run", *options, *(a.format(**known) for a in arguments))
    assert code == 1
    last = text.splitlines()[-1]
    assert last.startswith("Error: ")
    assert all(word.format(**known) in last for word in words)


def test_a_broken_hook_of_a_third_party_is_named(tmp_path, options):
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[koordnri.hooks]\nacme = acme_hooks:Acme\n")
    (tmp_path / "acme_hooks.py").write_text("raise ImportError('no libacme.so')\n")
    code, text = refused(tmp_path, "run", *options, PYTHONPATH=str(tmp_path))
    assert code == 1
    assert "Error: hook acme (acme_hooks:Acme) cannot be loaded: ImportError: no libacme.so" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"NRI_PLUGIN_IDX": ""}, "NRI_PLUGIN_IDX: expected beside NRI_PLUGIN_SOCKET"),
        ({"NRI_PLUGIN_SOCKET": "x"}, "NRI_PLUGIN_SOCKET: expected the number"),
    ],
)
def test_half_an_environment_of_a_runtime_is_refused(tmp_path, options, change, words):
    environment = {"NRI_PLUGIN_NAME": "koordnri", "NRI_PLUGIN_IDX": "10", "NRI_PLUGIN_SOCKET": "3"} | change
    code, text = refused(tmp_path, "run", *options, **environment)
    assert (code, words in text) == (1, True), text


# -- options ----------------------------------------------------------------------------------------------------------


def parsed(*arguments: str, command: click.Command = run) -> dict[str, Any]:
    """What the options come to, with the environment as it is."""
    with command.make_context("run", list(arguments)) as context:
        return dict(context.params)


LISTEN = [
    ("127.0.0.1:9316", ("127.0.0.1", 9316)),
    ("0.0.0.0:0", ("0.0.0.0", 0)),
    ("[::1]:9316", ("::1", 9316)),
    ("localhost:65535", ("localhost", 65535)),
    ("off", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "address"), LISTEN)
def test_where_to_listen(text, address):
    assert parsed("--listen", text)["listen"] == address


@pytest.mark.parametrize(
    "text", ["9316", "localhost", "localhost:", ":9316", "localhost:65536", "localhost:-1", "a:b", "On"]
)
def test_an_address_that_is_none_is_refused_with_an_example(text):
    done = CliRunner().invoke(run, ["--listen", text])
    assert done.exit_code == 2
    assert f'expected HOST:PORT such as 127.0.0.1:9316, or "off", got "{text}"' in " ".join(done.stderr.split())


OPTIONS: dict[str, tuple[str, Any, Any]] = {
    "nri_socket": ("/x/nri.sock", "/x/nri.sock", "/var/run/nri/nri.sock"),
    "plugin_name": ("other", "other", "koordnri"),
    "plugin_index": ("42", "42", "10"),
    "policy_file": ("/x/policy", Path("/x/policy"), None),
    "policy_configmap": ("ns/name", ("ns", "name"), None),
    "kubeconfig": ("/x/kubeconfig", Path("/x/kubeconfig"), None),
    "node_name": ("n1", "n1", ""),
    "annotate_node": ("true", True, False),
    "host_root": ("/host", Path("/host"), Path("/")),
    "state_dir": ("/x/state", Path("/x/state"), Path("/var/lib/koordnri")),
    "record_route": ("reply", "reply", None),
    "history": ("memory", "memory", "disk"),
    "listen": ("[::]:80", ("::", 80), ("127.0.0.1", 9316)),
    "listen_tls_cert": ("/x/tls.crt", Path("/x/tls.crt"), None),
    "listen_tls_key": ("/x/tls.key", Path("/x/tls.key"), None),
    "listen_token_file": ("/x/token", Path("/x/token"), None),
    "listen_health": ("0.0.0.0:9318", ("0.0.0.0", 9318), None),
    "page": ("127.0.0.1:9317", ("127.0.0.1", 9317), None),
    "write": ("processes", ("processes",), ()),
    "landlock": ("off", "off", "auto"),
    "log_format": ("console", "console", "json"),
    "log_level": ("debug", "debug", "info"),
}
"""option → a text, what it means, the default"""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("KOORDNRI_", "NRI_PLUGIN_", "NODE_NAME")):
            monkeypatch.delenv(name)


def test_the_table_of_options_is_whole():
    assert set(OPTIONS) == {p.name for p in run.params}
    assert parsed() == {name: default for name, (_, _, default) in OPTIONS.items()}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_may_come_from_the_environment_and_the_command_line_beats_it(monkeypatch, name):
    text, meaning, default = OPTIONS[name]
    option = f"--{name.replace('_', '-')}"
    given = (option,) if meaning is True else (option, text)
    assert parsed(*given)[name] == meaning
    monkeypatch.setenv(f"KOORDNRI_{name.upper()}", text)
    assert parsed()[name] == meaning
    monkeypatch.setenv(
        f"KOORDNRI_{name.upper()}",
        {"log_level": "error", "log_format": "json", "record_route": "none", "landlock": "auto"}.get(name, "off"),
    )
    assert parsed(*given)[name] == meaning
    assert default != meaning


@pytest.mark.parametrize("text", ["name", "/name", "ns/", "a/b/c", ""])
def test_a_configmap_without_namespace_or_name_is_refused(text):
    with pytest.raises(click.BadParameter, match=f'expected NAMESPACE/NAME such as .*, got "{text}"'):
        parsed("--policy-configmap", text)


def test_no_way_to_the_api_server_is_reported_with_the_way_out(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "koordnri.cli", "run", "--state-dir", tmp_path, "--policy-configmap", "ns/name"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 1
    assert "no way to the API server" in result.stderr
    assert "--kubeconfig" in result.stderr


def test_the_nodes_name_is_also_known_as_in_pod_specs(monkeypatch):
    monkeypatch.setenv("NODE_NAME", "from-downward-api")
    assert parsed()["node_name"] == "from-downward-api"
    monkeypatch.setenv("KOORDNRI_NODE_NAME", "ours")
    assert parsed()["node_name"] == "ours"


def test_the_environment_alone_is_enough(tmp_path):
    environment = {
        "KOORDNRI_NRI_SOCKET": str(tmp_path / "nri.sock"),
        "KOORDNRI_STATE_DIR": str(tmp_path / "state"),
        "KOORDNRI_LISTEN": "127.0.0.1:0",
        "KOORDNRI_PLUGIN_INDEX": "42",
        "KOORDNRI_NODE_NAME": "n1",
    }
    with Runtime(tmp_path / "nri.sock") as runtime, Process(tmp_path, "run", **environment) as koordnri:
        assert runtime.wait_for_plugin(PATIENCE_S).full_name == "42-koordnri"
        started = koordnri.wait_logged("started")
        assert started["node"] == "n1"
        assert started["port"] > 0
        koordnri.process.terminate()
        assert koordnri.ended()[0] == 0


# -- launched by the runtime ------------------------------------------------------------------------------------------

PLUGIN = """#!{python}
import os, sys
with open({reported!r}, "w") as file:
    names = sorted(set(os.environ) - {{"LC_CTYPE"}})  # Python's own doing, where no locale is set
    print(names, [os.readlink(f"/proc/self/fd/{{n}}") for n in (0, 1, 2)], sys.argv[1:], file=file)
if {arguments!r}:
    sys.argv[1:] = {arguments!r}
from koordnri.cli import main
main()
"""


class Plugin:
    """An executable of the name that runtimes want, which hands on to koordnri's own entry point.

    A runtime gives no arguments, and the default state directory belongs to the machine: hence the ones that it adds.
    """

    def __init__(self, directory: Path) -> None:
        self.state = directory / "state"
        self.reported = directory / "reported"
        path = directory / "10-koordnri"
        arguments = ["run", "--state-dir", str(self.state), "--listen", "off"]
        path.write_text(PLUGIN.format(python=sys.executable, reported=str(self.reported), arguments=arguments))
        path.chmod(0o755)
        self.process = Launched(path)
        self.link = Link(self.process.socket)
        self.link.socket.settimeout(PATIENCE_S)

    def wait_logged(self, event: str) -> dict[str, Any]:
        return dict(eventually(lambda: logged(self.state / "koordnri.log", event), event))


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Plugin]:
    plugin = Plugin(tmp_path)
    yield plugin
    plugin.link.close()
    plugin.process.kill()


def test_a_plugin_that_the_runtime_launched_serves_on_the_connection_it_was_given(plugin):
    registered = plugin.link.answer_registration()
    assert (registered.plugin_name, registered.plugin_idx) == ("koordnri", "10")
    assert plugin.reported.read_text() == (
        "['NRI_PLUGIN_IDX', 'NRI_PLUGIN_NAME', 'NRI_PLUGIN_SOCKET'] ['/dev/null', '/dev/null', '/dev/null'] []\n"
    ), "what a runtime gives, and nothing else"
    plugin.link.configure(config=GOOD, runtime_name="containerd", runtime_version="v2.3.0")
    plugin.link.synchronize()
    accepted = plugin.wait_logged("policy_accepted")
    assert "runtime" in accepted["source"]
    assert plugin.wait_logged("synchronized")
    plugin.link.close()
    assert plugin.process.wait() == 0
    assert plugin.wait_logged("stopped")


def test_a_launched_plugin_reports_a_bad_policy_in_its_log_and_goes_on(plugin):
    plugin.link.answer_registration()
    plugin.link.configure(config=GOOD.replace("20", "250"), runtime_name="containerd", runtime_version="v2.3.0")
    plugin.link.synchronize()
    assert "expected 0..100, got 250" in plugin.wait_logged("policy_refused")["mistakes"][0]


def test_each_launch_begins_a_log_and_keeps_the_one_before(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    (state / "koordnri.log").write_text("of yesterday\n")
    plugin = Plugin(tmp_path)
    try:
        plugin.wait_logged("started")
    finally:
        plugin.link.close()
        plugin.process.kill()
    assert (state / "koordnri.log.1").read_text() == "of yesterday\n"


def test_without_arguments_a_runtime_means_run(tmp_path):
    """Half an environment, so that it ends by itself."""
    environment = {"NRI_PLUGIN_SOCKET": "3", "NRI_PLUGIN_NAME": "koordnri", "KOORDNRI_STATE_DIR": str(tmp_path)}
    code, text = refused(tmp_path, **environment)
    assert (code, "NRI_PLUGIN_IDX: expected" in text) == (1, True), text


# -- the group --------------------------------------------------------------------------------------------------------


def test_help_lists_every_command_and_every_command_is_there():
    text = CliRunner().invoke(cli, ["--help"]).output
    for name, what in COMMANDS.items():
        assert name in text
        assert what.split()[0] in text
        assert CliRunner().invoke(cli, [name, "--help"]).exit_code == 0


def test_an_unknown_command_is_refused_by_name():
    done = CliRunner().invoke(cli, ["rnu"])
    assert done.exit_code == 2
    assert "rnu" in done.stderr


def test_version_is_the_distributions():
    from importlib import metadata

    done = CliRunner().invoke(cli, ["version"])
    assert (done.exit_code, done.output) == (0, f"koordnri {metadata.version('koordnri')}\n")


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import koordnri.cli", ["koordnri.daemon.daemon", "rich", "kubernetes", "prometheus_client", "msgspec"]),
        ("import koordnri.cli.run", ["koordnri.daemon.daemon", "rich", "kubernetes", "prometheus_client", "msgspec"]),
        ("import koordnri.daemon.daemon", ["kubernetes", "click", "psutil"]),
    ],
)
def test_nothing_is_imported_that_the_command_does_not_need(code, absent):
    """Memory and start-up time of the daemon are those of its imports."""
    script = f"import sys\n{code}\nprint([m for m in {absent!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
