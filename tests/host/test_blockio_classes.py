"""The runtime's block I/O classes, from the file that its configuration names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.host.trees import HostTree, read

CLASSES = "Classes:\n  slow:\n  - Weight: 10\n  fast: []\n"
CONTAINERD = 'version = 3\n[plugins."io.containerd.service.v1.tasks-service"]\nblockio_config_file = "{}"\n'
CRIO = '[crio.runtime]\nblockio_config_file = "{}"\n'


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param({}, None, id="no-runtime's-configuration"),
        pytest.param({"containerd/config.toml": "version = 3\n"}, set(), id="no-classes-in-containerd"),
        ({"containerd/config.toml": CONTAINERD.format("/etc/io.yaml"), "io.yaml": CLASSES}, {"slow", "fast"}),
        pytest.param({"containerd/config.toml": CONTAINERD.format("/etc/io.yaml")}, None, id="its-file-is-missing"),
        pytest.param(
            {"containerd/config.toml": 'imports = ["/etc/containerd/conf.d/*.toml"]\n'}, None, id="imports-may-say-more"
        ),
        pytest.param({"crio/crio.conf": ""}, set(), id="no-classes-in-CRI-O"),
        ({"crio/crio.conf.d/10-io.conf": CRIO.format("/etc/io.yaml"), "io.yaml": CLASSES}, {"slow", "fast"}),
        pytest.param(
            {"crio/crio.conf": CRIO.format("/etc/a"), "crio/crio.conf.d/9": CRIO.format("/etc/io"), "io": CLASSES},
            {"slow", "fast"},
            id="the-last-word-counts",
        ),
        pytest.param(
            {"crio/crio.conf": "", "containerd/config.toml": CONTAINERD.format("/etc/io"), "io": CLASSES},
            {"slow", "fast"},
            id="which-of-two-runs-is-not-known",
        ),
        ({"containerd/config.toml": CONTAINERD.format("/etc/io"), "io": "- Classes"}, set()),
        ({"containerd/config.toml": "plugins = 5\n"}, set()),
    ],
)
def test_the_classes_are_those_of_the_file_that_the_runtimes_configuration_names(
    tmp_path: Path, written: dict[str, str], expected: set[str] | None
) -> None:
    tree = HostTree(tmp_path)
    for path, text in written.items():
        tree.write(f"etc/{path}", text)
    node = read(tree)
    assert node.blockio_classes == expected
    assert not [problem for problem in node.problems if "/etc/" in problem]


@pytest.mark.parametrize(
    ("path", "text", "reported"),
    [
        ("etc/containerd/config.toml", "secret = ", "expected TOML"),
        ("etc/crio/crio.conf", "[[", "expected TOML"),
        ("etc/io", "Classes: {", "expected the YAML of block I/O classes"),
    ],
)
def test_a_configuration_that_cannot_be_understood_is_reported_without_its_text(
    tmp_path: Path, path: str, text: str, reported: str
) -> None:
    tree = HostTree(tmp_path).write("etc/containerd/config.toml", CONTAINERD.format("/etc/io")).write(path, text)
    node = read(tree)
    assert node.blockio_classes is None
    [problem] = [problem for problem in node.problems if "/etc/" in problem]
    assert problem.startswith(f"{tmp_path}/{path}: {reported}")
    assert text not in problem
