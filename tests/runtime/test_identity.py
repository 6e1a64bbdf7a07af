"""Which runtime is imitated, and what it sends in Configure."""

from pathlib import Path

import pytest

from koordnri.runtime import LATEST, Runtime
from koordnri.wire.versions import Version, nri_version
from tests.runtime.scripted_plugin import ScriptedPlugin


@pytest.mark.parametrize("name", ["containerd", "cri-o"])
@pytest.mark.parametrize(
    ("version", "timeouts", "says"),
    [
        (Version(0, 3, 0), False, False),
        (Version(0, 6, 1), False, False),
        (Version(0, 8, 0), True, False),
        (Version(0, 11, 0), True, False),
        (LATEST, True, True),
    ],
)
def test_configure_says_what_this_version_says(
    tmp_path: Path, name: str, version: Version, timeouts: bool, says: bool
) -> None:
    with (
        Runtime(tmp_path / "nri", version, name, request_timeout_s=1.5, registration_timeout_s=4) as runtime,
        ScriptedPlugin(tmp_path / "nri") as plugin,
    ):
        configure = plugin.expect("Configure")
        assert configure.runtime_name == name
        assert configure.runtime_version.startswith("v") == (name == "containerd")
        assert (configure.request_timeout, configure.registration_timeout) == ((1500, 4000) if timeouts else (0, 0))
        assert configure.NRI_version == ("v0.12.5" if says else "")
        assert configure.config == ""
        assert runtime.identity.nri == version
        # A plugin infers the version from the runtime's; it must not believe it newer than it is.
        assert nri_version(name, configure.runtime_version, configure.NRI_version) <= version


def test_a_version_that_no_runtime_had_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no known version of the runtime docker has NRI 0\.12\.5: expected one of"):
        Runtime(tmp_path / "nri", runtime_name="docker")
