"""Checks: facts in, codes out."""

import math
import tomllib
from dataclasses import replace
from typing import Any

import pytest

from koordnri.doctor.checks.runtime import nri_lines
from koordnri.doctor.diagnose import diagnose
from koordnri.doctor.facts import (
    CONTAINERD,
    CRIO,
    Cgroups,
    Daemon,
    Facts,
    Kernel,
    Kubelet,
    Ours,
    Runtime,
    RuntimeConfig,
)
from koordnri.model.node import Resctrl
from koordnri.wire.versions import Version, nri_version

FILE = "/etc/containerd/config.toml"
CONFIG = RuntimeConfig(FILE, enabled=True)


def runtime(text: str = "2.4.2", config: RuntimeConfig | None = CONFIG, kind: str = CONTAINERD, **more: Any) -> Runtime:
    return Runtime(kind, text, nri_version(kind, text) if text else None, config, **more)


def crio(text: str = "1.36.0", config: RuntimeConfig | None = None) -> Runtime:
    return runtime(text, config, CRIO)


WELL = Facts(
    runtime=runtime(config=CONFIG._replace(validator=True, required_plugins=("koordnri",), tolerated="x")),
    cgroups=Cgroups(controllers=frozenset({"cpu", "cpuset", "memory", "io", "pids"})),
    kernel=Kernel(pressure=True, inotify_watches=65536),
    daemon=Daemon(
        running=True, runtime_name="containerd", runtime_version="2.4.2", late_events=0, overruns=0, hooks_p999_s=0.001
    ),
    koordnri_pids=(7,),
)
NO_DAEMON = replace(WELL, daemon=Daemon(), koordnri_pids=())
NO_SOCKET = replace(NO_DAEMON, ours=Ours(socket_found=False))
RESCTRL = Resctrl("intel", 0x7FF, 4, (0,), frozenset({"a", "b", "c"}))


def without_daemon(running: Runtime, socket: bool = False) -> Facts:
    return replace(NO_DAEMON, runtime=running, ours=Ours(socket_found=socket))


def codes(facts: Facts, beside: Facts = WELL) -> list[str]:
    """Codes that these facts have, beyond those of the others."""
    known = [finding.code for finding in diagnose(beside)]
    return [finding.code for finding in diagnose(facts) if finding.code not in known]


def test_a_node_where_all_is_well_has_no_findings() -> None:
    assert diagnose(WELL) == []


def test_where_nothing_is_known_only_that_is_said() -> None:
    assert [finding.code for finding in diagnose(Facts())] == ["KN0112", "KN0901"]


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
def test_the_fix_is_toml_for_this_runtimes_file(its: Runtime, path: str, section: list[str]) -> None:
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
def test_versions_with_known_faults(its: Runtime, expected: list[str]) -> None:
    known = {"KN0803"}  # a validator is another matter
    assert [code for code in codes(replace(WELL, runtime=its)) if code not in known] == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (CONFIG, ["KN0803"]),
        (CONFIG._replace(required_plugins=("koordnri",)), ["KN0803"]),  # the validator is not on
        (CONFIG._replace(validator=True, required_plugins=("koordnri",)), ["KN0801"]),
        (CONFIG._replace(validator=True, required_plugins=("10-koordnri",), tolerated="a"), []),
        (CONFIG._replace(validator=True, required_plugins=("my-koordnri",), tolerated="a"), ["KN0802"]),
        (CONFIG._replace(validator=True, required_plugins=("other",), tolerated="a"), ["KN0803"]),
    ],
)
def test_the_validator(config: RuntimeConfig, expected: list[str]) -> None:
    assert codes(replace(WELL, runtime=runtime(config=config))) == expected
    assert codes(replace(WELL, runtime=runtime("2.1.0", config=config)), replace(WELL, runtime=runtime("2.1.0"))) == []


@pytest.mark.parametrize(
    ("timeout_s", "changed", "expected"),
    [
        (None, {"late_events": 2}, ["KN0201"]),
        (None, {"overruns": 1}, ["KN0201"]),
        (None, {"hooks_p999_s": 0.6}, ["KN0202"]),
        (4.0, {"hooks_p999_s": 0.6}, []),
        (4.0, {"hooks_p999_s": math.inf}, ["KN0202"]),
        (0.5, {}, ["KN0203"]),
        (None, {"late_events": None, "overruns": None, "hooks_p999_s": None}, []),
    ],
)
def test_timeouts_against_latency(timeout_s: float | None, changed: dict[str, Any], expected: list[str]) -> None:
    config = WELL.runtime.config
    assert config is not None
    its = replace(WELL.runtime, config=config._replace(request_timeout_s=timeout_s))
    assert codes(replace(WELL, runtime=its, daemon=replace(WELL.daemon, **changed))) == expected


@pytest.mark.parametrize(
    ("kubelet", "expected"),
    [
        (Kubelet(cpu_policy="static"), ["KN0301"]),
        (Kubelet(memory_policy="Static"), ["KN0302"]),
        (Kubelet(memory_policy="None"), []),
        (Kubelet(cgroups_per_qos=False), ["KN0304"]),
        (Kubelet(cgroups_per_qos=True), []),
        (Kubelet(state_replaced=True), ["KN0305"]),
        (Kubelet(state_found=False), ["KN0306"]),
    ],
)
def test_kubelets_managers(kubelet: Kubelet, expected: list[str]) -> None:
    assert codes(replace(WELL, kubelet=kubelet)) == expected


@pytest.mark.parametrize(
    ("its", "systemd", "driver", "expected"),
    [
        (runtime("1.7.30"), True, "cgroupfs", ["KN0303"]),
        (runtime("1.7.30"), False, "systemd", ["KN0303"]),
        (runtime("1.7.30"), True, "systemd", []),
        (runtime("1.7.30"), None, "systemd", []),
        (runtime("1.7.30"), True, None, []),
        (runtime("2.0.0"), True, "cgroupfs", []),  # it tells kubelet
        (crio("1.27.4"), True, "cgroupfs", ["KN0303"]),
    ],
)
def test_cgroup_drivers(its: Runtime, systemd: bool | None, driver: str | None, expected: list[str]) -> None:
    config = RuntimeConfig("/file", enabled=True, systemd_cgroup=systemd)
    facts = replace(WELL, runtime=replace(its, config=config), kubelet=Kubelet(cgroup_driver=driver))
    assert [code for code in codes(facts) if code.startswith("KN03")] == expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"version": None}, ["KN0401"]),
        ({"version": 1}, ["KN0402"]),
        ({"controllers": frozenset({"cpu", "memory", "io"})}, ["KN0403"]),
        ({"controllers": frozenset()}, ["KN0403"] * 4),
        ({"controllers": None}, []),
        ({"read_only": True}, ["KN0404"]),
        ({"writable": False}, ["KN0404"]),
        ({"both_drivers": True}, ["KN0405"]),
    ],
)
def test_cgroups(changed: dict[str, Any], expected: list[str]) -> None:
    assert codes(replace(WELL, cgroups=replace(WELL.cgroups, **changed))) == expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"pressure": False}, ["KN0504"]),
        ({"pressure": None, "inotify_watches": None}, []),
        ({"inotify_watches": 8191}, ["KN0505"]),
        ({"resctrl_supported": True}, ["KN0501"]),
        ({"resctrl_supported": True, "resctrl_mounted": True}, ["KN0502"]),
        (
            {"resctrl_supported": True, "resctrl_mounted": True, "resctrl_writable": True, "resctrl": RESCTRL},
            ["KN0503"],
        ),
        (
            {
                "resctrl_supported": True,
                "resctrl_mounted": True,
                "resctrl_writable": True,
                "resctrl": replace(RESCTRL, groups=frozenset({"LSR", "LS", "BE"})),  # all taken, by ours
            },
            [],
        ),
        (
            {
                "resctrl_supported": True,
                "resctrl_mounted": True,
                "resctrl_writable": True,
                "resctrl": replace(RESCTRL, num_closids=5),
            },
            [],
        ),
    ],
)
def test_the_kernel(changed: dict[str, Any], expected: list[str]) -> None:
    assert codes(replace(WELL, kernel=replace(WELL.kernel, **changed))) == expected


def test_other_agents_and_second_daemons() -> None:
    facts = replace(WELL, agents=("koordlet", "rubik"), koordnri_pids=(7, 9))
    assert [(f.code, f.object) for f in diagnose(facts)] == [
        ("KN0602", "pids 7, 9"),
        ("KN0601", "koordlet"),
        ("KN0601", "rubik"),
    ]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"uid": 1000}, ["KN0701"]),
        ({"state_problem": "/x is mounted read-only"}, ["KN0702"]),
        ({"host_found": False}, ["KN0703"]),
    ],
)
def test_what_koordnri_needs(changed: dict[str, Any], expected: list[str]) -> None:
    assert codes(replace(WELL, ours=replace(WELL.ours, **changed))) == expected


def test_a_malformed_file_of_the_host_is_named() -> None:
    (finding,) = diagnose(replace(WELL, problems=('/proc/meminfo: expected a number, got "x"',)))
    assert (finding.code, finding.object, finding.cause) == ("KN0704", "/proc/meminfo", 'expected a number, got "x"')


@pytest.mark.parametrize(
    ("daemon", "expected"),
    [
        (Daemon(), ["KN0901"]),
        (Daemon(problem="no answer"), ["KN0902"]),
        (Daemon(running=True, problems=("runtime: not connected",)), ["KN0903"]),
        (Daemon(running=True, warnings=("state: full",)), ["KN0904"]),
    ],
)
def test_the_daemon(daemon: Daemon, expected: list[str]) -> None:
    assert codes(replace(WELL, daemon=daemon)) == expected
