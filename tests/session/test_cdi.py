"""Which runtimes inject the CDI devices that a plugin asks for."""

from __future__ import annotations

import pytest

from koordnri.session.cdi import why_no_cdi
from koordnri.session.runtime_info import RuntimeInfo
from koordnri.wire.versions import nri_version


def runtime(name: str, version: str, reported: str = "") -> RuntimeInfo:
    return RuntimeInfo(name, version, nri_version(name, version, reported))


@pytest.mark.parametrize(
    ("name", "version", "injects"),
    [
        ("containerd", "1.7.24~ds1", False),
        ("containerd", "v1.7.29", False),
        ("containerd", "v1.7.30", True),
        ("containerd", "v1.7.40", True),
        ("v2", "v2.0.0", False),
        ("v2", "v2.0.7", False),
        ("containerd", "2.1.9+unknown", True),
        ("containerd", "v2.1.0", True),
        ("containerd", "v2.3.0", True),
        ("containerd", "v2.4.0-beta.0", True),
        ("cri-o", "1.33.5", False),
        ("cri-o", "1.34.0", True),
        ("cri-o", "1.36.1", True),
    ],
)
def test_a_runtime_is_asked_for_cdi_devices_only_where_its_release_injects_them(
    name: str, version: str, injects: bool
) -> None:
    problem = why_no_cdi(runtime(name, version))
    assert problem == ("" if injects else f"{name} {version} drops CDI devices of plugins")


@pytest.mark.parametrize(
    ("name", "version"), [("", ""), ("containerd", ""), ("containerd", "(devel)"), ("other", "3.0.0")]
)
def test_a_runtime_that_is_not_known_is_not_asked(name: str, version: str) -> None:
    """A container without its devices would start, and nobody would hear of it."""
    assert why_no_cdi(runtime(name, version, "0.12.2")).endswith("does with CDI devices is not known")
