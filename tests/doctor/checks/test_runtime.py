"""The runtime: NRI's switch, socket, versions and the lines that mend it."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any

import pytest

from koordnri.doctor.checks.runtime import nri_lines
from koordnri.doctor.diagnose import diagnose
from koordnri.doctor.facts import OurFacts, RuntimeConfig, RuntimeFacts
from koordnri.wire.versions import Version
from tests.doctor.well import FILE, WELL, codes, crio, runtime, without_daemon


@pytest.mark.parametrize(
    ("text", "config", "socket", "expected"),
    [
        ("1.7.24", RuntimeConfig(FILE), False, "KN0101"),
        ("1.7.24", RuntimeConfig(FILE), True, "KN0101"),  # a socket that an earlier runtime left
        ("1.7.24", RuntimeConfig(FILE, enabled=True), True, ""),
        ("2.0.0", RuntimeConfig(FILE), True, ""),
        ("2.0.0-beta.1", RuntimeConfig(FILE), True, ""),
        ("2.4.2", RuntimeConfig(FILE, enabled=False), False, "KN0101"),
        ("", RuntimeConfig(FILE), True, ""),  # the default is not known
        ("2.4.2", RuntimeConfig(FILE, socket="/run/other/nri.sock"), False, "KN0102"),
        ("2.4.2", RuntimeConfig(FILE, socket="/run/nri/nri.sock"), False, "KN0103"),
        ("2.4.2", None, False, "KN0103"),
        ("2.4.2", None, True, ""),
        ("2.4.2", RuntimeConfig(FILE, connections=False), True, "KN0104"),
        ("1.6.20", RuntimeConfig(FILE), False, "KN0105"),
    ],
)
def test_what_keeps_a_plugin_from_registering(
    text: str, config: RuntimeConfig | None, socket: bool, expected: str
) -> None:
    found = [f.code for f in diagnose(without_daemon(runtime(text, config), socket)) if f.severity.value == "error"]
    assert found == ([expected] if expected else [])


def test_a_socket_below_the_host_root_is_that_of_the_configuration() -> None:
    """As in a pod of `kubectl debug node`, which has the whole host under /host."""
    ours = OurFacts(host_root="/host", nri_socket="/host/run/nri/nri.sock", socket_found=False)
    facts = replace(without_daemon(runtime(config=RuntimeConfig(FILE))), ours=ours)
    assert codes(facts) == ["KN0103", "KN0901", "KN0803"]


@pytest.mark.parametrize("running", [True, None, False])
def test_a_runtime_that_does_not_run_is_the_one_reason_for_a_missing_socket(running: bool | None) -> None:
    facts = without_daemon(runtime(running=running))
    assert [f.code for f in diagnose(facts) if f.severity.value == "error"] == [
        "KN0113" if running is False else "KN0103"
    ]
    assert codes(replace(WELL, runtime=replace(WELL.runtime, running=running))) == []


@pytest.mark.parametrize(("text", "expected"), [("1.29.4", "KN0101"), ("1.30.0", "KN0103"), ("1.26.1", "KN0105")])
def test_cri_o_has_defaults_of_its_own(text: str, expected: str) -> None:
    facts = without_daemon(crio(text, RuntimeConfig("/etc/crio/crio.conf.d/10-nri.conf")))
    assert [f.code for f in diagnose(facts) if f.severity.value == "error"] == [expected]


def test_a_registered_daemon_proves_that_nri_is_on() -> None:
    """The configuration may have been edited since the runtime's start."""
    assert codes(replace(WELL, runtime=replace(WELL.runtime, config=WELL.runtime.config._replace(enabled=False)))) == []


@pytest.mark.parametrize(
    ("its", "path", "section"),
    [
        (runtime("1.7.24", RuntimeConfig(FILE)), FILE, ["plugins", "io.containerd.nri.v1.nri"]),
        (runtime("2.1.0", None), FILE, ["plugins", "io.containerd.nri.v1.nri"]),
        (crio("1.28.0"), "/etc/crio/crio.conf.d/10-nri.conf", ["crio", "nri"]),
    ],
)
def test_the_fix_is_toml_for_this_runtimes_file(its: RuntimeFacts, path: str, section: list[str]) -> None:
    lines = nri_lines(its, ("a = true", 'b = "x"'))
    assert path in lines
    table: Any = tomllib.loads("\n".join(line for line in lines.splitlines() if line.startswith("    ")))
    for key in section:
        table = table[key]
    assert table == {"a": True, "b": "x"}


def test_the_fix_of_k3s_goes_into_its_template() -> None:
    path = "/var/lib/rancher/k3s/agent/etc/containerd/config.toml"
    lines = nri_lines(runtime("2.1.4-k3s1", RuntimeConfig(path)), ("disable = false",))
    assert "/var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl" in lines
    assert '{{ template "base" . }}' in lines
    assert "restart k3s" in lines


@pytest.mark.parametrize(
    ("its", "expected"),
    [
        (runtime("1.7.15"), ["KN0106", "KN0110"]),
        (runtime("1.7.16"), ["KN0107", "KN0110"]),
        (runtime("1.7.30"), ["KN0107"]),
        (runtime("2.0.5"), ["KN0107", "KN0110"]),
        (runtime("2.4.0", oci={"crun": ("/usr/bin/crun", Version(1, 21, 0))}), ["KN0108"]),
        (runtime("2.4.0", oci={"crun": ("/usr/bin/crun", Version(1, 22, 0))}), []),
        (runtime("2.4.0", oci={"runc": ("/usr/bin/runc", Version(1, 1, 15))}), ["KN0109"]),
        (runtime("2.4.0", oci={"runc": ("/usr/bin/runc", Version(1, 2, 0))}), []),
        (runtime("", None), []),
        (runtime("2.4.2", None, config_problem="/a: Expected '=' (at line 1)"), ["KN0111"]),
    ],
)
def test_versions_with_known_faults(its: RuntimeFacts, expected: list[str]) -> None:
    known = {"KN0803"}  # a validator is another matter
    assert [code for code in codes(replace(WELL, runtime=its)) if code not in known] == expected


@pytest.mark.parametrize(
    ("hooks", "refuses", "expected"), [(("gpu",), False, ["KN0114"]), (("gpu",), True, []), ((), False, [])]
)
def test_required_hooks_say_what_a_hanging_daemon_costs(
    hooks: tuple[str, ...], refuses: bool, expected: list[str]
) -> None:
    daemon = replace(WELL.daemon, required_hooks=hooks, refuses_unanswered=refuses)
    assert codes(replace(WELL, daemon=daemon)) == expected
