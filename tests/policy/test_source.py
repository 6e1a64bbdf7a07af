"""Reading a policy from a file or from a mounted ConfigMap."""

import pytest

from koordnri.policy import PolicyError, load_policy, read_policy, resolve
from koordnri.policy.document import load_data

BURST = '{"clusterStrategy": {"policy": "cpuBurstOnly"}}'


def test_file_is_read_and_named(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(f"cpu-burst-config: {BURST}")
    document = read_policy(path)
    assert document.source == str(path)
    assert resolve(document, "", {}).burst.policy == "cpuBurstOnly"


def test_directory_has_one_file_per_key_as_kubelet_mounts_it(tmp_path):
    version = tmp_path / "..2026_01_01"
    version.mkdir()
    (version / "cpu-burst-config").write_text(BURST)
    (tmp_path / "..data").symlink_to("..2026_01_01")
    (tmp_path / "cpu-burst-config").symlink_to("..data/cpu-burst-config")
    document = read_policy(tmp_path)
    assert resolve(document, "", {}).burst.policy == "cpuBurstOnly"
    assert document.warnings == ()
    assert document.revision == load_policy(f"cpu-burst-config: {BURST}", "").revision


def test_what_cannot_be_read_is_a_policy_error(tmp_path):
    with pytest.raises(PolicyError, match=r"cannot read .*/absent\.yaml: No such file or directory"):
        read_policy(tmp_path / "absent.yaml")
    binary = tmp_path / "binary"
    binary.write_bytes(b"a: \xfe")
    with pytest.raises(PolicyError, match="expected UTF-8 text, byte 3 is 0xfe"):
        read_policy(binary)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "cpu-burst-config").write_bytes(b"\xfe")
    with pytest.raises(PolicyError, match="cpu-burst-config: expected UTF-8 text, byte 0 is 0xfe"):
        read_policy(tmp_path / "d")
    long = tmp_path / "long"
    long.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(PolicyError, match="expected at most 1048576 bytes"):
        read_policy(long)


def test_a_directory_holds_no_more_than_a_configmap_does(tmp_path):
    for number in range(3):
        (tmp_path / f"file-{number}").write_bytes(b"#" * 400_000)
    with pytest.raises(PolicyError, match=r"expected at most 1048576 bytes in .*/file-2 and the files before it"):
        read_policy(tmp_path)


def test_the_keys_of_a_configmap_are_refused_when_they_are_too_long_in_all():
    data = dict.fromkeys(("cpu-burst-config", "system-config"), "{}" + " " * 600000)
    with pytest.raises(PolicyError, match="system-config: expected at most 1048576 characters in all keys together"):
        load_data(data, "configmap")


def test_a_file_that_is_no_key_of_ours_may_hold_anything(tmp_path):
    (tmp_path / "cpu-burst-config").write_text(BURST)
    (tmp_path / "logo.png").write_bytes(b"\x89PNG")
    assert [str(warning) for warning in read_policy(tmp_path).warnings] == ["logo.png: unknown key, ignored"]


def test_an_empty_file_is_refused_so_that_the_last_good_policy_stays(tmp_path):
    path = tmp_path / "truncated.yaml"
    path.touch()
    with pytest.raises(PolicyError, match="got nothing"):
        read_policy(path)
