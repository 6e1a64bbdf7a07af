"""Reading a policy from a file or from a mounted ConfigMap."""

import pytest

from koordnri.policy import PolicyError, load_policy, read_policy, resolve

BURST = '{"clusterStrategy": {"policy": "auto"}}'


def test_file_is_read_and_named(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(f"cpu-burst-config: {BURST}")
    document = read_policy(path)
    assert document.source == str(path)
    assert resolve(document, "", {}).burst.policy == "auto"


def test_directory_has_one_file_per_key_as_kubelet_mounts_it(tmp_path):
    version = tmp_path / "..2026_01_01"
    version.mkdir()
    (version / "cpu-burst-config").write_text(BURST)
    (tmp_path / "..data").symlink_to("..2026_01_01")
    (tmp_path / "cpu-burst-config").symlink_to("..data/cpu-burst-config")
    document = read_policy(tmp_path)
    assert resolve(document, "", {}).burst.policy == "auto"
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


def test_an_empty_file_is_refused_so_that_the_last_good_policy_stays(tmp_path):
    path = tmp_path / "truncated.yaml"
    path.touch()
    with pytest.raises(PolicyError, match="got nothing"):
        read_policy(path)
