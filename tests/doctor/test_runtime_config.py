"""Configurations of containerd and CRI-O as people write them."""

from pathlib import Path

import pytest

from koordnri.doctor.facts import NRI_SOCKET, RuntimeConfig
from koordnri.doctor.runtime_config import BadConfig, read_containerd, read_crio, seconds
from koordnri.host.files import HostFiles
from tests.host.trees import HostTree

CONTAINERD, CRIO = "etc/containerd/config.toml", "etc/crio/crio.conf.d"


def containerd(root: Path, text: str) -> RuntimeConfig | None:
    return read_containerd(HostFiles(HostTree(root).write(CONTAINERD, text).root))


def test_containerd_2_with_everything_set(tmp_path: Path) -> None:
    text = """
version = 3
[plugins.'io.containerd.nri.v1.nri']
  disable = false
  socket_path = '/run/x/nri.sock'
  disable_connections = true
  plugin_request_timeout = '1.5s'
  [plugins.'io.containerd.nri.v1.nri'.default_validator]
    enable = true
    required_plugins = ['koordnri']
    tolerate_missing_plugins_annotation = 'a.b/c'
[plugins.'io.containerd.cri.v1.runtime'.containerd]
  default_runtime_name = 'crun'
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.crun.options]
    SystemdCgroup = true
"""
    assert containerd(tmp_path, text) == RuntimeConfig(
        f"/{CONTAINERD}", True, "/run/x/nri.sock", False, 1.5, True, ("koordnri",), "a.b/c", True
    )


@pytest.mark.parametrize(
    ("text", "enabled", "systemd"),
    [
        ("", None, None),
        ("version = 2\n", None, None),
        ('[plugins."io.containerd.nri.v1.nri"]\ndisable = true\n', False, None),
        ('disabled_plugins = ["io.containerd.nri.v1.nri"]\n', False, None),
        ('[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]\nruntime_type = "x"\n', None, False),
        ('plugins = "nonsense"\nimports = 3\ndisabled_plugins = "x"\n', None, None),
    ],
)
def test_containerd_1_and_what_is_not_set(
    tmp_path: Path, text: str, enabled: bool | None, systemd: bool | None
) -> None:
    assert containerd(tmp_path, text) == RuntimeConfig(f"/{CONTAINERD}", enabled, systemd_cgroup=systemd)


def test_imported_files_come_after_the_main_one(tmp_path: Path) -> None:
    tree = HostTree(tmp_path)
    nri = '[plugins."io.containerd.nri.v1.nri"]\n'
    tree.write("etc/containerd/conf.d/10-a.toml", f'{nri}disable = false\nsocket_path = "/run/a"\n')
    tree.write("etc/containerd/conf.d/20-b.toml", f'{nri}socket_path = "/run/b"\n')
    for pattern in ("/etc/containerd/conf.d/*.toml", "conf.d/*.toml"):
        config = containerd(tmp_path, f'imports = ["{pattern}"]\n{nri}disable = true\n')
        assert config is not None
        assert (config.enabled, config.socket) == (True, "/run/b")


def test_drop_ins_of_crio_go_before_its_file(tmp_path: Path) -> None:
    tree = HostTree(tmp_path).write("etc/crio/crio.conf", "[crio.nri]\nenable_nri = false\n")
    tree.write(f"{CRIO}/05-a.conf", '[crio.nri]\nnri_listen = "/run/a"\n[crio.runtime]\ncgroup_manager = "cgroupfs"\n')
    tree.write(
        f"{CRIO}/10-b.conf",
        '[crio.nri]\nenable_nri = true\nnri_plugin_request_timeout = "500ms"\nnri_disable_connections = true\n'
        "[crio.nri.default_validator]\nnri_enable_default_validator = true\n"
        'nri_validator_required_plugins = ["koordnri"]\nnri_validator_tolerate_missing_plugins_annotation = "t"\n',
    )
    assert read_crio(HostFiles(tmp_path)) == RuntimeConfig(
        f"/{CRIO}/10-nri.conf", True, "/run/a", False, 0.5, True, ("koordnri",), "t", False
    )


def test_crio_uses_systemd_if_nothing_is_set(tmp_path: Path) -> None:
    config = read_crio(HostFiles(HostTree(tmp_path).write("etc/crio/crio.conf", "[crio]\n").root))
    assert config is not None
    assert (config.enabled, config.socket, config.systemd_cgroup) == (None, NRI_SOCKET, True)


def test_without_files_there_is_no_configuration(tmp_path: Path) -> None:
    assert read_crio(HostFiles(tmp_path)) is read_containerd(HostFiles(tmp_path)) is None


def test_what_is_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=rf"^{tmp_path}/{CONTAINERD}: Expected .*line 2"):
        containerd(tmp_path, "a = 1\nnonsense 2\n")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2s", 2.0),
        ("500ms", 0.5),
        ("1m30s", 90.0),
        ("1.5s", 1.5),
        ("0", None),
        ("", None),
        ("2", None),
        (2, None),
        ("2s x", None),
    ],
)
def test_durations_as_go_writes_them(text: object, value: float | None) -> None:
    assert seconds(text) == value
